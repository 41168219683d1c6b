import { Chip } from "@/components/ui/bits";
import { cn } from "@/lib/cn";
import { plural } from "@/lib/number";
import type { Finding } from "@/lib/types";

const head = "px-2.5 py-1.5 text-left text-2xs font-medium text-text3";
const cell = "px-2.5 py-1.5 align-top";

/** The conditions that held: what the rule asked, and what the event said. */
export function WhyTable({ finding }: { finding: Finding }) {
  const conditions = finding.explanation.conditions;
  if (conditions.length === 0) return <p className="text-xs text-text3">{finding.explanation.summary}</p>;
  return (
    <div className="overflow-x-auto rounded-md border">
      <table className="w-full min-w-[34rem] text-xs" data-testid="why-table">
        <thead className="border-b bg-raised/60">
          <tr>
            {["Field", "Operator", "Expected", "Found", "Selection"].map((name) => (
              <th key={name} scope="col" className={head}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {conditions.map((c, i) => (
            // oxlint-disable-next-line react/no-array-index-key
            <tr key={i} className="border-b last:border-0">
              <td className={cn(cell, "mono font-medium")}>{c.field}</td>
              <td className={cn(cell, "text-text3")}>{c.operator}</td>
              <td className={cn(cell, "mono break-all text-text2")}>{c.expected}</td>
              <td className={cn(cell, "mono break-all")}>
                <mark className="rounded-sm bg-sev-medium/20 px-1 text-text">{c.actual}</mark>
              </td>
              <td className={cn(cell, "text-text3")}>{c.selection}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Whether a finding may still change, and whether it already did. */
export function FindingLabels({ finding }: { finding: Finding }) {
  const revision = finding.revision ?? 0;
  return (
    <>
      {finding.status === "provisional" && (
        <Chip className="h-4 border-sev-low/50 text-sev-low" title="Told at once. Events that come late may still change it.">
          provisional
        </Chip>
      )}
      {finding.status === "withdrawn" && (
        <Chip className="h-4 border-sev-medium/60 text-sev-medium" title="Late events showed that it did not happen.">
          withdrawn
        </Chip>
      )}
      {revision > 0 && (
        <Chip className="h-4" title="Late events changed its contents.">
          revised {plural(revision, "time")}
        </Chip>
      )}
    </>
  );
}
