import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Field, Input } from "@/components/ui/input";
import { Choice, Menu, MenuItem, MenuLabel, MenuSeparator } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import { SeverityMark } from "@/components/ui/severity";
import type { NewSavedSearch, SavedSearch, Schedule, SearchColumn } from "@/lib/search-types";
import { session } from "@/lib/session";
import { SEVERITY_LABEL } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { ago, dateTime } from "@/lib/time";
import { SEVERITIES } from "@/lib/types";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Bookmark, BookmarkCheck, CalendarClock, ChevronDown, Pencil, Save, Trash2, Users } from "lucide-react";
import { useId, useState, type ReactNode } from "react";
import { toast } from "sonner";
import { deleteSearch, keepSearch, savedQuery } from "../api";
import { AT_LEAST_MAX, DEFAULT_SCHEDULE, differs, everyWith, scheduleText, windowsFor } from "../schedule";
import { widthText } from "../histogram";

/** What would be saved now. */
export type Current = Pick<NewSavedSearch, "q" | "columns" | "range">;

interface SavedMenuProps {
  current: Current;
  openId: string | undefined;
  columns: readonly SearchColumn[];
  onOpen: (search: SavedSearch) => void;
  onKept: (search: SavedSearch | undefined) => void;
}

const MENU_MAX = 12;
type Editing = { id?: string; search: NewSavedSearch } | null;

const asNew = ({ name, q, columns, range, shared, schedule }: SavedSearch): NewSavedSearch => ({ name, q, columns, range, shared, schedule });

/** Opens, saves and manages searches. */
export function SavedMenu({ current, openId, columns, onOpen, onKept }: SavedMenuProps) {
  const { data, error, refetch } = useQuery(savedQuery);
  const [editing, setEditing] = useState<Editing>(null);
  const [managing, setManaging] = useState(false);
  const items = data?.items ?? [];
  const opened = items.find((one) => one.id === openId);
  const changed = opened !== undefined && differs(opened, current);
  const mine = useStore(session)?.name;
  const update = useMutation({
    mutationFn: (search: SavedSearch) => keepSearch(search.id, { ...asNew(search), ...current }),
    onSuccess: (kept) => toast.success(`${kept.name} saved`),
    onError: (failed) => toast.error("It was not saved", { description: failed.message }),
  });
  return (
    <>
      <Menu
        trigger={
          <Button aria-label={opened ? `Saved search: ${opened.name}${changed ? ", changed" : ""}` : "Saved searches"} className="max-w-52 min-w-0 max-sm:w-9 max-sm:px-0" data-testid="saved">
            {opened ? <BookmarkCheck className="text-accent" /> : <Bookmark />}
            <span className="truncate max-sm:sr-only">{opened?.name ?? "Saved"}</span>
            {changed && <span className="size-1.5 shrink-0 rounded-full bg-sev-medium" title="Changed since it was saved" />}
            <ChevronDown className="text-text3 max-sm:hidden" />
          </Button>
        }
      >
        {opened && changed && (
          <MenuItem onSelect={() => update.mutate(opened)}>
            <Save /> Save the changes to {opened.name}
          </MenuItem>
        )}
        <MenuItem onSelect={() => setEditing({ search: { name: "", shared: false, schedule: null, ...current } })}>
          <Bookmark /> Save this search…
        </MenuItem>
        {items.length > 0 && <MenuSeparator />}
        {items.length > 0 && <MenuLabel>Open</MenuLabel>}
        {items.slice(0, MENU_MAX).map((one) => (
          <MenuItem key={one.id} checked={one.id === openId} onSelect={() => onOpen(one)}>
            <span className="max-w-64 truncate">{one.name}</span>
            {one.schedule?.enabled && <CalendarClock className="text-text3" aria-label="runs on a schedule" />}
            {one.shared && one.owner !== mine && <Users className="text-text3" aria-label={`shared by ${one.owner}`} />}
          </MenuItem>
        ))}
        <MenuSeparator />
        <MenuItem onSelect={() => setManaging(true)}>All saved searches…</MenuItem>
      </Menu>
      <Dialog open={editing !== null} onOpenChange={(open) => !open && setEditing(null)} title={editing?.id ? "Change the saved search" : "Save this search"} className="w-[min(38rem,calc(100vw-1.5rem))]">
        {editing && (
          <SavedForm
            editing={editing}
            columns={columns}
            onDone={(kept) => {
              setEditing(null);
              if (kept) onKept(kept);
            }}
          />
        )}
      </Dialog>
      <Dialog open={managing} onOpenChange={setManaging} title="Saved searches" className="w-[min(52rem,calc(100vw-1.5rem))]">
        {error && !data ? (
          <Problem error={error} retry={() => void refetch()} />
        ) : data ? (
          <SavedList
            items={items}
            onOpen={(one) => {
              setManaging(false);
              onOpen(one);
            }}
            onEdit={(one) => {
              setManaging(false);
              setEditing({ id: one.id, search: asNew(one) });
            }}
            onDeleted={(id) => id === openId && onKept(undefined)}
          />
        ) : (
          <Skeleton className="h-32" />
        )}
      </Dialog>
    </>
  );
}

interface SavedListProps {
  items: readonly SavedSearch[];
  onOpen: (search: SavedSearch) => void;
  onEdit: (search: SavedSearch) => void;
  onDeleted: (id: string) => void;
}

function SavedList({ items, onOpen, onEdit, onDeleted }: SavedListProps) {
  const me = useStore(session);
  const remove = useMutation({
    mutationFn: (search: SavedSearch) => deleteSearch(search.id).then(() => search),
    onSuccess: (gone) => {
      onDeleted(gone.id);
      toast.success(`${gone.name} deleted`, { action: { label: "Undo", onClick: () => void keepSearch(undefined, asNew(gone)).catch((failed: Error) => toast.error("It was not put back", { description: failed.message })) } });
    },
    onError: (failed) => toast.error("It was not deleted", { description: failed.message }),
  });
  if (items.length === 0) return <Empty title="No search is saved yet" className="h-auto py-8">Search for something, then choose “Save this search”. A saved search can run on a schedule and raise findings.</Empty>;
  return (
    <ul className="grid gap-2" data-testid="saved-list">
      {items.map((one) => {
        const own = one.owner === me?.name || me?.role === "admin";
        return (
          <li key={one.id} className="flex flex-wrap items-start gap-x-3 gap-y-1 rounded-md border bg-bg px-3 py-2">
            <div className="min-w-0 flex-1 basis-64">
              <button type="button" onClick={() => onOpen(one)} className="max-w-full truncate text-left font-medium hover:underline">
                {one.name}
              </button>
              <p className="mono truncate text-xs text-text2" title={one.q}>
                {one.q || "everything"}
              </p>
              {one.schedule && <p className="text-2xs text-text3">{scheduleText(one.schedule)}</p>}
              {one.last_run && (
                <p className={one.last_run.error ? "text-2xs text-sev-high" : "text-2xs text-text3"}>
                  Last run {ago(one.last_run.time)} ago: {one.last_run.error ?? `${one.last_run.hits} hits, ${one.last_run.findings} findings`}
                </p>
              )}
            </div>
            <span className="flex items-center gap-1">
              {one.schedule && <Chip className={one.schedule.enabled ? "border-accent/50" : ""}>{one.schedule.enabled ? "scheduled" : "schedule off"}</Chip>}
              {one.shared && <Chip title={`by ${one.owner}, ${dateTime(one.updated_at)}`}>shared</Chip>}
              {!own && <Chip>{one.owner}</Chip>}
              {own && (
                <>
                  <Button variant="ghost" size="iconSm" aria-label={`Change ${one.name}`} onClick={() => onEdit(one)}>
                    <Pencil />
                  </Button>
                  <Button variant="ghost" size="iconSm" aria-label={`Delete ${one.name}`} onClick={() => remove.mutate(one)}>
                    <Trash2 />
                  </Button>
                </>
              )}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

const Labelled = ({ label, children }: { label: string; children: ReactNode }) => (
  <div className="grid gap-1.5 text-xs font-medium text-text2">
    {label}
    <span>{children}</span>
  </div>
);

function Ticked({ label, checked, onChange }: { label: string; checked: boolean; onChange: (checked: boolean) => void }) {
  const id = useId();
  return (
    <div className="flex items-center gap-2 text-sm">
      <Checkbox id={id} label={label} checked={checked} onChange={onChange} />
      <label htmlFor={id}>{label}</label>
    </div>
  );
}

function SavedForm({ editing, columns, onDone }: { editing: NonNullable<Editing>; columns: readonly SearchColumn[]; onDone: (kept?: SavedSearch) => void }) {
  const [search, setSearch] = useState(editing.search);
  const change = (part: Partial<NewSavedSearch>) => setSearch((old) => ({ ...old, ...part }));
  const keep = useMutation({ mutationFn: () => keepSearch(editing.id, { ...search, name: search.name.trim() }), onSuccess: (kept) => { toast.success(`${kept.name} saved`); onDone(kept); } });
  return (
    <form
      className="grid gap-4"
      data-testid="saved-form"
      onSubmit={(event) => {
        event.preventDefault();
        keep.mutate();
      }}
    >
      <Field label="Name">
        <Input value={search.name} onChange={(event) => change({ name: event.target.value })} required maxLength={100} placeholder="Root logons from abroad" />
      </Field>
      <Field label="Query">
        <Input value={search.q} onChange={(event) => change({ q: event.target.value })} className="mono text-xs" placeholder="everything" />
      </Field>
      <Ticked label="Everybody here may open it" checked={search.shared} onChange={(shared) => change({ shared })} />
      <Ticked label="Run it on a schedule and raise findings" checked={search.schedule !== null} onChange={(on) => change({ schedule: on ? DEFAULT_SCHEDULE : null })} />
      {search.schedule && <ScheduleFields schedule={search.schedule} columns={columns} onChange={(schedule) => change({ schedule })} />}
      {keep.error && <Problem error={keep.error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={() => onDone()}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={search.name.trim() === "" || keep.isPending}>
          Save
        </Button>
      </div>
    </form>
  );
}

/** By what findings are told apart: columns that name somebody or something. */
const GROUPS: ReadonlySet<string> = new Set(["actor.user.name", "actor.user.uid", "src_endpoint.ip", "dst_endpoint.ip", "device.hostname", "metadata.log_name", "metadata.product.name", "cloud.account.uid", "resource.uid"]);
const ONE = "";

const steps = (secs: readonly number[]) => secs.map((value) => ({ value: String(value), label: widthText(value) }));

function ScheduleFields({ schedule, columns, onChange }: { schedule: Schedule; columns: readonly SearchColumn[]; onChange: (schedule: Schedule) => void }) {
  const set = (part: Partial<Schedule>) => onChange({ ...schedule, ...part });
  const atLeast = useId();
  // The window that fits the new pace and is nearest to what was chosen.
  const setEvery = (every_secs: number) => {
    const fits = windowsFor(every_secs, every_secs);
    set({ every_secs, window_secs: fits.findLast((secs) => secs <= Math.max(every_secs, schedule.window_secs)) ?? every_secs });
  };
  const groups = columns.filter(({ path }) => GROUPS.has(path) || path === schedule.group_by);
  return (
    <fieldset className="grid gap-3 rounded-md border bg-bg p-3" data-testid="schedule">
      <legend className="px-1 text-xs font-medium text-text2">Schedule</legend>
      <div className="flex flex-wrap gap-3">
        <Labelled label="Every">
          <Choice label="Every" value={String(schedule.every_secs)} onChange={(secs) => setEvery(Number(secs))} options={steps(everyWith(schedule.every_secs))} />
        </Labelled>
        <Labelled label="Look back">
          <Choice label="Look back" value={String(schedule.window_secs)} onChange={(secs) => set({ window_secs: Number(secs) })} options={steps(windowsFor(schedule.every_secs, schedule.window_secs))} />
        </Labelled>
        <label htmlFor={atLeast} className="grid w-28 gap-1.5 text-xs font-medium text-text2">
          At least
          <Input id={atLeast} type="number" min={1} max={AT_LEAST_MAX} value={schedule.at_least} onChange={(event) => set({ at_least: Math.min(AT_LEAST_MAX, Math.max(1, Math.round(Number(event.target.value)) || 1)) })} />
        </label>
        <Labelled label="Severity">
          <Choice label="Severity" value={schedule.severity} onChange={(severity) => set({ severity })} options={SEVERITIES.filter((value) => value !== "informational").map((value) => ({ value, label: <span className="flex items-center gap-2"><SeverityMark severity={value} /> {SEVERITY_LABEL[value]}</span> }))} />
        </Labelled>
        <Labelled label="One finding for each">
          <Choice label="One finding for each" value={schedule.group_by ?? ONE} onChange={(field) => set({ group_by: field === ONE ? null : field })} options={[{ value: ONE, label: "run" }, ...groups.map(({ path }) => ({ value: path, label: <span className="mono">{path}</span> }))]} />
        </Labelled>
      </div>
      <p className="text-xs text-text2">{scheduleText(schedule)}</p>
      <Ticked label="The schedule is on" checked={schedule.enabled} onChange={(enabled) => set({ enabled })} />
    </fieldset>
  );
}
