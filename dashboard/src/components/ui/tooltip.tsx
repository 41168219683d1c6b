import { Tooltip as Radix } from "radix-ui";
import type { ReactNode } from "react";

export const TooltipProvider = Radix.Provider;

export function Tooltip({ text, children, side = "top" }: { text: ReactNode; children: ReactNode; side?: "top" | "right" | "bottom" | "left" }) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content side={side} sideOffset={5} className="z-50 max-w-72 rounded-md border border-line2 bg-raised px-2 py-1.5 text-xs text-text shadow-(--shadow)">
          {text}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
