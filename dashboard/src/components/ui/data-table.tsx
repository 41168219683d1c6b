import { cn } from "@/lib/cn";
import { createSortedRowModel, rowSortingFeature, sortFns, tableFeatures, useTable, type ColumnDef } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { prefs } from "@/lib/prefs";
import { useStore } from "@/lib/store";

export interface DataColumn<R> {
  id: string;
  header: string;
  /** A grid track. */
  width: string;
  /** What is sorted by. */
  value: (row: R) => string | number;
  cell: (row: R) => ReactNode;
  /** Only where there is room. */
  wide?: boolean;
}

interface DataTableProps<R> {
  label: string;
  rows: readonly R[];
  columns: readonly DataColumn<R>[];
  rowId: (row: R) => string;
  onOpen: (row: R) => void;
  openId?: string | undefined;
  initialSort: { id: string; desc: boolean };
}

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel(), sortFns });
const WIDE = "(min-width: 900px)";

/** A sortable table of any length: TanStack Table orders the rows, TanStack Virtual draws those in sight. */
export function DataTable<R extends object>({ label, rows, columns, rowId, onOpen, openId, initialSort }: DataTableProps<R>) {
  const [wide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const list = matchMedia(WIDE);
    const onChange = () => setWide(list.matches);
    list.addEventListener("change", onChange);
    return () => list.removeEventListener("change", onChange);
  }, []);
  const scroller = useRef<HTMLDivElement>(null);
  const { density } = useStore(prefs);
  const rowPx = density === "compact" ? 34 : 42;
  const shown = columns.filter((c) => wide || !c.wide);
  // Columns come anew with every drawing of the page; their ids say whether they are really other ones.
  const ids = columns.map((c) => c.id).join();
  const defs = useMemo(() => columns.map((c): ColumnDef<typeof features, R> => ({ id: c.id, accessorFn: c.value, sortFn: "auto" })), [ids]); // oxlint-disable-line react-hooks/exhaustive-deps
  const data = rows as R[];
  const table = useTable({ features, columns: defs, data, getRowId: rowId, initialState: { sorting: [initialSort] } });
  const sorted = table.getRowModel().rows;
  const sorting = table.state.sorting[0];
  const virtual = useVirtualizer({ count: sorted.length, getScrollElement: () => scroller.current, estimateSize: () => rowPx, overscan: 12 });
  useEffect(() => virtual.measure(), [virtual, rowPx]);
  const template = shown.map((c) => c.width).join(" ");
  return (
    <div ref={scroller} className="h-full overflow-auto">
      <div role="table" aria-label={label} aria-rowcount={sorted.length + 1} className="min-w-fit">
        <div role="row" className="sticky top-0 z-10 grid h-8 items-center gap-3 border-b bg-panel px-3" style={{ gridTemplateColumns: template }}>
          {shown.map((c) => {
            const on = sorting?.id === c.id;
            return (
              <span role="columnheader" key={c.id} aria-sort={on ? (sorting.desc ? "descending" : "ascending") : "none"}>
                <button type="button" onClick={() => table.getColumn(c.id)?.toggleSorting(on ? !sorting.desc : undefined)} className="flex items-center gap-1 text-2xs font-medium text-text3 hover:text-text">
                  {c.header}
                  {on && (sorting.desc ? <ArrowDown className="size-3" /> : <ArrowUp className="size-3" />)}
                </button>
              </span>
            );
          })}
        </div>
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = sorted[item.index];
            if (!row) return null;
            return (
              <div key={row.id} role="row" tabIndex={0} aria-selected={row.id === openId} onClick={() => onOpen(row.original)} onKeyDown={(event) => {
                  if (event.key !== "Enter" || event.target !== event.currentTarget) return;
                  event.preventDefault();
                  onOpen(row.original);
                }} className={cn("absolute inset-x-0 top-0 grid cursor-pointer items-center gap-3 border-b border-line/60 px-3 hover:bg-raised aria-selected:bg-accent-soft")} style={{ height: item.size, transform: `translateY(${item.start}px)`, gridTemplateColumns: template }}>
                {shown.map((c) => (
                  <span role="cell" key={c.id} className="flex min-w-0 items-center">
                    {c.cell(row.original)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
