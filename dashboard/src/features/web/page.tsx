import { Segmented } from "@/components/ui/segmented";
import { useKeys } from "@/lib/keys";
import { useQuery } from "@tanstack/react-query";
import type { WebSearch } from "@/lib/go";
import { agentsQuery, profilesQuery, RANGES, type RangeName } from "./api";
import { Agents } from "./components/agents";
import { Profiles } from "./components/profiles";
import { Verdicts } from "./components/verdicts";

const RANGE_OPTIONS = (Object.keys(RANGES) as RangeName[]).map((value) => ({ value, label: value }));

const count = (n: number | undefined) => (n === undefined ? "" : ` (${n})`);

/** Web protection: what was asked and answered, who asks, and what they are told to do. */
export function WebPage({ search, onSearch }: { search: WebSearch; onSearch: (change: WebSearch) => void }) {
  const { data: agents } = useQuery(agentsQuery);
  const { data: profiles } = useQuery(profilesQuery);
  const view = search.view ?? "attacks";
  const range = search.range !== undefined && search.range in RANGES ? (search.range as RangeName) : "24h";
  const show = (next: WebSearch["view"]) => onSearch({ view: next, id: undefined });
  useKeys({ "1": () => show("attacks"), "2": () => show("agents"), "3": () => show("profiles") });
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
        <Segmented
          label="View"
          value={view}
          onChange={show}
          options={[
            { value: "attacks", label: "Attacks", title: "What was asked and answered (1)" },
            { value: "agents", label: `Agents${count(agents?.items.length)}`, title: "Who asks (2)" },
            { value: "profiles", label: `Profiles${count(profiles?.items.length)}`, title: "What agents are told to do (3)" },
          ]}
        />
        {view === "attacks" && (
          <span className="ml-auto">
            <Segmented label="Period" value={range} options={RANGE_OPTIONS} onChange={(next) => onSearch({ range: next })} />
          </span>
        )}
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto">
        {view === "attacks" && <Verdicts range={range} onView={show} />}
        {view === "agents" && <Agents openId={search.id} onOpen={(id) => onSearch({ id })} />}
        {view === "profiles" && <Profiles openId={search.id} onOpen={(id) => onSearch({ id })} />}
      </div>
    </div>
  );
}
