import type { ReactNode } from "react";

/** A titled part of a detail. */
export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-1.5 flex flex-wrap items-baseline gap-x-2 text-sm font-semibold">
        {title}
        {aside && <span className="text-2xs font-normal text-text3">{aside}</span>}
      </h3>
      {children}
    </section>
  );
}

/** Names and values, as many columns as there is room for. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="grid grid-cols-2 gap-x-4 gap-y-2.5 sm:grid-cols-3 xl:grid-cols-5">
      {facts.map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="text-2xs text-text3">{name}</dt>
          <dd className="flex min-w-0 text-sm">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
