import { Check, Minus } from "lucide-react";
import { Checkbox as Radix } from "radix-ui";

export function Checkbox({ checked, onChange, label, id }: { checked: boolean | "indeterminate"; onChange: (checked: boolean) => void; label: string; id?: string }) {
  return (
    <Radix.Root {...(id ? { id } : {})} checked={checked} aria-label={label} onCheckedChange={(next) => onChange(next === true)} onClick={(event) => event.stopPropagation()} className="flex size-4 shrink-0 items-center justify-center rounded border border-line2 bg-bg hover:border-text3 data-[state=checked]:border-accent data-[state=checked]:bg-accent data-[state=indeterminate]:border-accent data-[state=indeterminate]:bg-accent">
      <Radix.Indicator>{checked === "indeterminate" ? <Minus className="size-3 text-bg" strokeWidth={3} /> : <Check className="size-3 text-bg" strokeWidth={3} />}</Radix.Indicator>
    </Radix.Root>
  );
}
