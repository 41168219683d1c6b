import { cn } from "@/lib/cn";
import { ToggleGroup } from "radix-ui";
import type { ReactNode } from "react";

interface SegmentedProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; label: ReactNode; title?: string }[];
  onChange: (value: T) => void;
  className?: string;
}

/** One of a few: a row of buttons of which one is pressed. */
export function Segmented<T extends string>({ label, value, options, onChange, className }: SegmentedProps<T>) {
  return (
    <ToggleGroup.Root type="single" aria-label={label} value={value} onValueChange={(next) => next && onChange(next as T)} className={cn("inline-flex items-center rounded-md border bg-bg p-0.5", className)}>
      {options.map((option) => (
        <ToggleGroup.Item key={option.value} value={option.value} title={option.title} className="inline-flex h-6 items-center gap-1.5 rounded px-2 text-xs font-medium whitespace-nowrap text-text3 transition-colors hover:text-text data-[state=on]:bg-raised data-[state=on]:text-text">
          {option.label}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
