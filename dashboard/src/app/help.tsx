import { Kbd } from "@/components/ui/bits";
import { Dialog } from "@/components/ui/overlay";

const GROUPS: { title: string; keys: [string[], string][] }[] = [
  {
    title: "Everywhere",
    keys: [
      [["Ctrl", "K"], "Find an IP, a user, a page"],
      [["g", "o"], "Overview"],
      [["g", "l"], "Live"],
      [["g", "e"], "Search the events"],
      [["g", "a"], "Alerts"],
      [["g", "i"], "Incidents"],
      [["g", "n"], "Entities by risk"],
      [["g", "r"], "Rules"],
      [["g", "w"], "Web protection"],
      [["g", "b"], "Bans"],
      [["g", "s"], "Settings"],
      [["?"], "This list"],
    ],
  },
  {
    title: "Alerts and incidents",
    keys: [
      [["j"], "Next"],
      [["k"], "Previous"],
      [["Enter"], "Open"],
      [["x"], "Select or unselect"],
      [["a"], "Acknowledge"],
      [["e"], "Close"],
      [["o"], "Reopen"],
      [["u"], "Undo the last change"],
      [["/"], "Search"],
      [["Esc"], "Back to the list, drop the selection"],
    ],
  },
  {
    title: "Search",
    keys: [
      [["/"], "Query"],
      [["Enter"], "Search, or open the event"],
      [["Esc"], "Stop the search, close the event"],
      [["j"], "Next event"],
      [["k"], "Previous event"],
      [["h"], "Value to the left"],
      [["l"], "Value to the right"],
      [["+"], "Only this value"],
      [["-"], "Not this value"],
      [["p"], "Hold the live tail, or go on"],
      [["f"], "Find a field"],
    ],
  },
  {
    title: "Rules",
    keys: [
      [["/"], "Search"],
      [["n"], "New rule"],
    ],
  },
  {
    title: "Web protection",
    keys: [
      [["1"], "Attacks"],
      [["2"], "Agents"],
      [["3"], "Profiles"],
    ],
  },
  {
    title: "Live",
    keys: [
      [["p"], "Pause or go on"],
      [["/"], "Filter"],
    ],
  },
];

export function Help({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard shortcuts" className="w-[min(46rem,calc(100vw-1.5rem))]">
      <div className="grid gap-6 sm:grid-cols-2">
        {GROUPS.map((group) => (
          <section key={group.title}>
            <h3 className="eyebrow mb-2">{group.title}</h3>
            <dl className="grid gap-1.5">
              {group.keys.map(([keys, text]) => (
                <div key={text} className="flex items-center justify-between gap-3">
                  <dt className="text-xs text-text2">{text}</dt>
                  <dd className="flex gap-1">
                    {keys.map((key) => (
                      <Kbd key={key}>{key}</Kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
