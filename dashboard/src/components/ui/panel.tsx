import { cn } from "@/lib/cn";
import type { ReactNode } from "react";

interface PanelProps {
  title: ReactNode;
  aside?: ReactNode;
  className?: string;
  bodyClassName?: string;
  children: ReactNode;
}

/** A titled box of the overview. */
export function Panel({ title, aside, className, bodyClassName, children }: PanelProps) {
  return (
    <section className={cn("flex min-h-0 min-w-0 flex-col rounded-lg border bg-panel", className)}>
      <header className="flex h-9 shrink-0 items-center justify-between gap-3 px-3">
        <h2 className="truncate text-sm font-semibold text-text">{title}</h2>
        {aside && <div className="flex min-w-0 items-center gap-2 text-xs text-text3">{aside}</div>}
      </header>
      <div className={cn("min-h-0 flex-1 px-3 pb-3", bodyClassName)}>{children}</div>
    </section>
  );
}
