import { cn } from "@/lib/cn";
import type { ComponentProps } from "react";

export function Input({ className, ...props }: ComponentProps<"input">) {
  return (
    <input
      className={cn("h-8 w-full min-w-0 rounded-md border border-line2 bg-bg px-2.5 text-sm text-text placeholder:text-text3 focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-0 disabled:opacity-50", className)}
      {...props}
    />
  );
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: React.ReactNode }) {
  return (
    // oxlint-disable-next-line jsx-a11y/label-has-associated-control
    <label className="grid gap-1.5 text-xs font-medium text-text2">
      {label}
      {children}
      {hint && <span className="font-normal text-text3">{hint}</span>}
    </label>
  );
}
