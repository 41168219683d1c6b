import { SeverityMark } from "@/components/ui/severity";
import { SEVERITY_LABEL, WORST_FIRST } from "@/lib/severity";
import type { Severity } from "@/lib/types";
import { ToggleGroup } from "radix-ui";

export function SeverityChips({ shown, onChange }: { shown: ReadonlySet<Severity>; onChange: (shown: ReadonlySet<Severity>) => void }) {
  return (
    <ToggleGroup.Root type="multiple" aria-label="Severities" value={[...shown]} onValueChange={(next) => onChange(new Set(next as Severity[]))} className="flex items-center gap-1">
      {WORST_FIRST.map((severity) => (
        <ToggleGroup.Item key={severity} value={severity} title={SEVERITY_LABEL[severity]} aria-label={SEVERITY_LABEL[severity]} className="flex h-8 items-center gap-1.5 rounded-md border border-line2 bg-raised px-2 text-xs font-medium data-[state=off]:border-line data-[state=off]:bg-transparent data-[state=off]:opacity-45">
          <SeverityMark severity={severity} />
          <span className="hidden xl:inline">{SEVERITY_LABEL[severity]}</span>
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
