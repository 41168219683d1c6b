/** Who looks after it: two letters and the name. */
export function Assignee({ name, short = false }: { name: string | null | undefined; short?: boolean }) {
  if (!name) return short ? null : <span className="text-2xs text-text3">unassigned</span>;
  return (
    <span className="inline-flex min-w-0 items-center gap-1.5" title={`Assigned to ${name}`}>
      <span aria-hidden={!short} aria-label={short ? `Assigned to ${name}` : undefined} role={short ? "img" : undefined} className="flex size-5 shrink-0 items-center justify-center rounded-full bg-accent-soft text-[0.5625rem] font-bold text-accent uppercase">
        {initials(name)}
      </span>
      {!short && <span className="truncate text-xs text-text2">{name}</span>}
    </span>
  );
}

function initials(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return words.length > 1 ? `${words[0]![0]}${words[1]![0]}` : [...name].slice(0, 2).join("");
}
