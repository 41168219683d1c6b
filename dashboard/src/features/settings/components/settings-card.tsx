import type { ReactNode } from "react";

export function SettingsCard({ title, about, aside, children }: { title: string; about?: ReactNode; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="rounded-lg border bg-panel">
      <header className="flex flex-wrap items-center justify-between gap-3 border-b px-4 py-3">
        <div>
          <h2 className="text-base font-semibold">{title}</h2>
          {about && <p className="text-xs text-text3">{about}</p>}
        </div>
        {aside}
      </header>
      <div className="p-4">{children}</div>
    </section>
  );
}
