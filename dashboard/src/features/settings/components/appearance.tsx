import { Segmented } from "@/components/ui/segmented";
import { prefs, setPref } from "@/lib/prefs";
import { useStore } from "@/lib/store";
import type { ReactNode } from "react";
import { SettingsCard } from "./settings-card";

export function Appearance() {
  const { theme, density, clock } = useStore(prefs);
  return (
    <SettingsCard title="Appearance" about="Kept in this browser.">
      <div className="divide-y">
        <Row label="Theme">
          <Segmented label="Theme" value={theme} onChange={(v) => setPref("theme", v)} options={[{ value: "dark", label: "Dark" }, { value: "light", label: "Light" }, { value: "system", label: "As the system" }]} />
        </Row>
        <Row label="Density">
          <Segmented label="Density" value={density} onChange={(v) => setPref("density", v)} options={[{ value: "compact", label: "Compact" }, { value: "comfortable", label: "Comfortable" }]} />
        </Row>
        <Row label="Times in">
          <Segmented label="Times in" value={clock} onChange={(v) => setPref("clock", v)} options={[{ value: "local", label: "My time zone" }, { value: "utc", label: "UTC" }]} />
        </Row>
      </div>
    </SettingsCard>
  );
}

const Row = ({ label, children }: { label: string; children: ReactNode }) => (
  <div className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
    <span className="text-sm">{label}</span>
    {children}
  </div>
);
