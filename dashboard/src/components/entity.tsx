import { cn } from "@/lib/cn";
import { ENTITY_LABEL } from "@/lib/entity";
import { useGo } from "@/lib/go";
import type { Entity } from "@/lib/types";
import { Boxes, CircleHelp, Cloud, Monitor, Network, Server, User, type LucideIcon } from "lucide-react";

const ICON: Record<string, LucideIcon> = { user: User, ip: Network, host: Monitor, service: Server, account: Cloud, group: Boxes };

export function EntityIcon({ kind, className }: { kind: string; className?: string }) {
  const Icon = ICON[kind] ?? CircleHelp;
  return <Icon className={cn("size-3.5 shrink-0 text-text3", className)} aria-label={ENTITY_LABEL[kind] ?? kind} role="img" />;
}

/** A link to everything that is known about an entity. */
export function EntityLink({ entity, className }: { entity: Entity; className?: string }) {
  const go = useGo();
  return (
    <button type="button" onClick={() => go.entity(entity)} title={`Everything about ${entity.value}`} className={cn("inline-flex min-w-0 items-center gap-1.5 text-left", className)}>
      <EntityIcon kind={entity.kind} />
      <span className="mono truncate underline decoration-line2 underline-offset-2 hover:decoration-accent">{entity.value}</span>
    </button>
  );
}
