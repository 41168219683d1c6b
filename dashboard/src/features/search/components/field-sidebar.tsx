import { Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import type { OnPivot } from "@/components/ui/pivot";
import { SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { compact, percent, plural } from "@/lib/number";
import { fitting } from "@/lib/query/complete";
import type { ColumnKind, FieldValues, SearchColumn } from "@/lib/search-types";
import { isSeverity } from "@/lib/severity";
import { CalendarClock, ChevronRight, Columns3, Hash, List, Minus, Plus, Search, Type, type LucideIcon } from "lucide-react";
import { useState, type RefObject } from "react";

const KIND: Record<ColumnKind, [LucideIcon, string]> = { text: [Type, "text"], int: [Hash, "number"], float: [Hash, "number"], time: [CalendarClock, "time"], text_list: [List, "list"] };

interface FieldSidebarProps {
  columns: readonly SearchColumn[];
  /** Columns in the table. */
  shown: readonly string[];
  /** Fields whose values are in sight. */
  opened: readonly string[];
  values: readonly FieldValues[] | undefined;
  /** Why there are no values. */
  error: Error | null;
  /** The server cannot read the query: nothing is counted. */
  refused: boolean;
  inputRef?: RefObject<HTMLInputElement | null>;
  onOpen: (path: string) => void;
  onColumn: (path: string) => void;
  onPivot: OnPivot;
  onExists: (path: string) => void;
}

/** Every field with what it holds in the events that were found. */
export function FieldSidebar({ columns, shown, inputRef, ...rest }: FieldSidebarProps) {
  const [text, setText] = useState("");
  const found = fitting(columns, text);
  const chosen = shown.flatMap((path) => found.filter((column) => column.path === path));
  const others = found.filter((column) => !shown.includes(column.path));
  const item = (column: SearchColumn) => <FieldItem key={column.path} column={column} isShown={shown.includes(column.path)} {...rest} />;
  return (
    <div className="flex h-full min-h-0 flex-col" data-testid="fields">
      <div className="relative shrink-0 border-b p-2">
        <Search className="pointer-events-none absolute top-4 left-4 size-3.5 text-text3" />
        <input ref={inputRef} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()} aria-label="Find a field" placeholder="Find a field" className="h-7 w-full rounded-md border border-line2 bg-bg pr-2 pl-7 text-xs placeholder:text-text3 focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-0" />
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto pb-4" tabIndex={-1}>
        {chosen.length > 0 && <Group title="In the table">{chosen.map(item)}</Group>}
        {others.length > 0 && <Group title={text ? "Fields that fit" : "All fields"}>{others.map(item)}</Group>}
        {found.length === 0 && columns.length > 0 && <p className="p-3 text-xs text-text3">No field has that name.</p>}
        {columns.length === 0 && <Skeleton className="m-2 h-40" />}
      </div>
    </div>
  );
}

const Group = ({ title, children }: { title: string; children: React.ReactNode }) => (
  <section className="pt-2">
    <h2 className="eyebrow px-3 pb-1">{title}</h2>
    <ul>{children}</ul>
  </section>
);

interface FieldItemProps extends Omit<FieldSidebarProps, "columns" | "shown" | "inputRef"> {
  column: SearchColumn;
  isShown: boolean;
}

function FieldItem({ column, isShown, opened, values, error, refused, onOpen, onColumn, onPivot, onExists }: FieldItemProps) {
  const { path } = column;
  const isOpen = opened.includes(path);
  const [Icon, kind] = KIND[column.kind];
  return (
    <li className="group/field">
      <div className="flex items-center pr-1.5 pl-1 hover:bg-raised">
        <button type="button" aria-expanded={isOpen} onClick={() => onOpen(path)} title={`${column.about}${column.ecs.length > 0 ? ` (${column.ecs.join(", ")})` : ""}`} className="flex h-7 min-w-0 flex-1 items-center gap-1.5 text-left">
          <ChevronRight className={cn("size-3 shrink-0 text-text3 transition-transform", isOpen && "rotate-90")} />
          <Icon className="size-3 shrink-0 text-text3" aria-label={kind} role="img" />
          <span className={cn("mono truncate text-xs", isShown ? "text-text" : "text-text2")}>{path}</span>
        </button>
        <button
          type="button"
          aria-pressed={isShown}
          aria-label={`${isShown ? "Take" : "Put"} ${path} ${isShown ? "out of" : "into"} the table`}
          title={isShown ? "Take it out of the table" : "Show it in the table"}
          onClick={() => onColumn(path)}
          className={cn("flex size-6 shrink-0 items-center justify-center rounded text-text3 hover:bg-accent hover:text-bg", isShown ? "text-accent" : "opacity-0 group-hover/field:opacity-100 focus-visible:opacity-100 [@media(hover:none)]:opacity-100")}
        >
          <Columns3 className="size-3.5" />
        </button>
      </div>
      {isOpen && <Values path={path} values={values?.find((one) => one.field === path)} loading={values === undefined && !refused} error={error} onPivot={onPivot} onExists={onExists} />}
    </li>
  );
}

interface ValuesProps {
  path: string;
  values: FieldValues | undefined;
  loading: boolean;
  error: Error | null;
  onPivot: OnPivot;
  onExists: (path: string) => void;
}

function Values({ path, values, loading, error, onPivot, onExists }: ValuesProps) {
  if (error && !values) return <p className="px-7 pb-2 text-2xs text-text3">Not counted: {error.message}</p>;
  if (!values) return loading ? <Skeleton className="mx-3 mb-2 ml-7 h-16" /> : <p className="px-7 pb-2 text-2xs text-text3">Not counted</p>;
  if (values.values.length === 0) return <p className="px-7 pb-2 text-2xs text-text3">No event that was found has it.</p>;
  const most = Math.max(...values.values.map((one) => one.count), 1);
  return (
    <div className="pr-2 pb-2.5 pl-6" data-testid={`values-${path}`}>
      <ul className="grid gap-px">
        {values.values.map(({ value, count }) => (
          <Value key={String(value)} path={path} value={String(value)} count={count} share={count / most} whole={values.present} onPivot={onPivot} />
        ))}
      </ul>
      <p className="flex items-center justify-between gap-2 pt-1 pl-1 text-2xs text-text3">
        <span>
          {plural(values.distinct, "value")} in {compact(values.present)} events
        </span>
        <button type="button" className="hover:text-text" onClick={() => onExists(path)}>
          has any
        </button>
      </p>
    </div>
  );
}

function Value({ path, value, count, share, whole, onPivot }: { path: string; value: string; count: number; share: number; whole: number; onPivot: OnPivot }) {
  const button = "flex size-5 items-center justify-center rounded-sm bg-raised text-text2 hover:bg-accent hover:text-bg focus-visible:opacity-100";
  return (
    <li className="group/value relative flex h-6 items-center gap-2 overflow-hidden rounded-sm px-1 text-xs hover:bg-raised">
      <span aria-hidden className="absolute inset-y-0.5 left-0 rounded-sm bg-accent/15" style={{ width: `${Math.max(1, share * 100)}%` }} />
      {path === "severity" && isSeverity(value) && <SeverityMark severity={value} className="relative size-2.5" />}
      <span className="mono relative min-w-0 flex-1 truncate" title={value}>
        {value}
      </span>
      <span className="relative shrink-0 text-2xs text-text2 group-focus-within/value:invisible group-hover/value:invisible [@media(hover:none)]:invisible" title={`${count}`}>
        {percent(count, whole)}
      </span>
      <span className="absolute right-0.5 flex gap-px opacity-0 group-focus-within/value:opacity-100 group-hover/value:opacity-100 [@media(hover:none)]:opacity-100">
        <span className="mr-1 bg-raised px-1 text-2xs leading-5 text-text2">{compact(count)}</span>
        <button type="button" className={button} aria-label={`Only ${path} = ${value}`} title="Only this value" onClick={() => onPivot(path, value, false)}>
          <Plus className="size-3" />
        </button>
        <button type="button" className={button} aria-label={`Without ${path} = ${value}`} title="Not this value" onClick={() => onPivot(path, value, true)}>
          <Minus className="size-3" />
        </button>
      </span>
    </li>
  );
}

/** For narrow screens: what opens the fields, and how many columns there are. */
export const FieldsButton = ({ count, onClick, pressed }: { count: number; onClick: () => void; pressed: boolean }) => (
  <Button size="sm" variant="ghost" aria-pressed={pressed} onClick={onClick} data-testid="fields-button">
    <Columns3 /> Fields <span className="text-text3">{count}</span>
  </Button>
);
