import { cn } from "@/lib/cn";
import { entityAt } from "@/lib/entity";
import { GoContext } from "@/lib/go";
import type { Entity } from "@/lib/types";
import { Columns3, Fingerprint, Minus, Plus } from "lucide-react";
import { useContext, type ReactNode } from "react";

export type OnPivot = (path: string, value: string, not: boolean) => void;

interface PivotProps {
  path: string;
  value: string | number | boolean | null | undefined;
  onPivot: OnPivot;
  className?: string;
  children?: ReactNode;
  /** Shows the column in the table, or takes it out. */
  onColumn?: ((path: string) => void) | undefined;
  /** Whether the tabulator key stops here: not in tables, which have keys of their own. */
  tabbable?: boolean;
}

/** A value with "filter for" and "filter out" buttons that show on hover and on focus; a user, an address or a host also leads to all that is known about it. */
export function Pivot({ path, value, onPivot, className, children, onColumn, tabbable = false }: PivotProps) {
  const go = useContext(GoContext);
  if (value === undefined || value === null || value === "") return <span className={cn("text-text3", className)}>{children ?? "–"}</span>;
  const text = String(value);
  const press = (not: boolean) => (event: React.MouseEvent) => {
    event.stopPropagation();
    // Rows are drawn anew below the pointer: a focus that stayed would sit on another row's value.
    (event.currentTarget as HTMLElement).blur();
    onPivot(path, text, not);
  };
  const open = (target: Entity) => (event: React.MouseEvent) => {
    event.stopPropagation();
    go?.entity(target);
  };
  const entity = go ? entityAt(path, text) : undefined;
  const button = "flex size-[18px] items-center justify-center rounded-sm bg-raised text-text2 hover:bg-accent hover:text-bg";
  return (
    <span className={cn("group/pivot relative flex min-w-0 items-center", className)}>
      <span className="min-w-0 truncate" title={text}>
        {children ?? text}
      </span>
      <span className="absolute right-0 flex gap-px rounded border border-line2 bg-panel opacity-0 group-focus-within/pivot:opacity-100 group-hover/pivot:opacity-100">
        <button type="button" tabIndex={tabbable ? 0 : -1} aria-label={`Only ${path} = ${text}`} title="Filter for this value" className={button} onClick={press(false)}>
          <Plus className="size-3" />
        </button>
        <button type="button" tabIndex={tabbable ? 0 : -1} aria-label={`Without ${path} = ${text}`} title="Filter out this value" className={button} onClick={press(true)}>
          <Minus className="size-3" />
        </button>
        {onColumn && (
          <button type="button" tabIndex={tabbable ? 0 : -1} aria-label={`Column ${path} in the table`} title="Show it in the table, or take it out" className={button} onClick={(event) => { event.stopPropagation(); onColumn(path); }}>
            <Columns3 className="size-3" />
          </button>
        )}
        {entity && (
          <button type="button" tabIndex={tabbable ? 0 : -1} aria-label={`Everything about ${text}`} title="Everything about it" className={button} onClick={open(entity)}>
            <Fingerprint className="size-3" />
          </button>
        )}
      </span>
    </span>
  );
}
