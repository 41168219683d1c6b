import { cn } from "@/lib/cn";
import { exact } from "@/lib/number";
import { riskLevel, riskShare } from "@/lib/risk";
import { severityVar } from "@/lib/severity";

/** A risk score and how much that is. */
export function Risk({ risk, className, big = false }: { risk: number; className?: string; big?: boolean }) {
  const color = severityVar(riskLevel(risk));
  return (
    <span className={cn("inline-flex items-center gap-1.5", className)} title={`Risk score ${exact(risk)}`}>
      <span className="sr-only">Risk</span>
      <span className={cn("text-right font-semibold", big ? "text-2xl tracking-tight" : "w-7 text-xs")} style={{ color }}>
        {exact(risk)}
      </span>
      <span className={cn("overflow-hidden rounded-full bg-raised", big ? "h-1.5 w-24" : "h-1 w-10")} aria-hidden="true">
        <span className="block h-full rounded-full" style={{ width: `${100 * riskShare(risk)}%`, background: color }} />
      </span>
    </span>
  );
}
