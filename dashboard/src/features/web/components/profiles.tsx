import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { CodeEditor } from "@/components/ui/code-editor";
import { Field, Input } from "@/components/ui/input";
import { Choice } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import { Segmented } from "@/components/ui/segmented";
import { api } from "@/lib/api";
import { plural } from "@/lib/number";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { dateTime } from "@/lib/time";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowLeft, History, Plus, RotateCcw } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { diffQuery, profilesQuery, templatesQuery, versionsQuery, type Mode, type ProfileBody, type WebProfile } from "../api";

const MODES: readonly { value: Mode; label: string; title: string }[] = [
  { value: "off", label: "Off", title: "Inspects nothing" },
  { value: "lite", label: "Lite", title: "Keeps what it saw and forwards it later" },
  { value: "monitor", label: "Monitor", title: "Tells attacks, blocks nothing" },
  { value: "protection", label: "Protection", title: "Blocks attacks before the handler runs" },
];
const MODE_COLOUR: Record<Mode, string> = { off: "text-text3", lite: "text-text2", monitor: "text-sev-low", protection: "text-ok" };
/** What a profile without a mode does. */
const MODE_DEFAULT: Mode = "monitor";

const assigned = (profile: WebProfile) =>
  profile.agents + profile.applications === 0 ? (profile.id === "default" ? "everybody without another" : "nobody") : [profile.applications && plural(profile.applications, "application"), profile.agents && plural(profile.agents, "agent")].filter(Boolean).join(", ");

/** Who made the newest version, and when; the first one comes with the platform. */
const changedBy = (profile: WebProfile) => (Date.parse(profile.updated_at) === 0 ? "as it came" : `${dateTime(profile.updated_at).slice(0, 16)} by ${profile.updated_by}${profile.note && `: “${profile.note}”`}`);

export function Profiles({ openId, onOpen }: { openId: string | undefined; onOpen: (id: string | undefined) => void }) {
  const profiles = useQuery(profilesQuery);
  const [making, setMaking] = useState(false);
  const isAdmin = may(useStore(session), "admin");
  if (profiles.error && !profiles.data) return <div className="p-3"><Problem error={profiles.error} retry={() => void profiles.refetch()} /></div>;
  if (!profiles.data) return <Skeleton className="m-3 h-40" />;
  const open = profiles.data.items.find((one) => one.id === openId);
  if (open) return <ProfileDetail key={`${open.id} ${open.version}`} profile={open} isAdmin={isAdmin} onBack={() => onOpen(undefined)} />;
  return (
    <div className="mx-auto max-w-5xl space-y-3 p-4">
      <div className="flex items-center justify-between gap-3">
        <p className="text-xs text-text3">What agents are told to do. A change reaches them within a second; every version is kept.</p>
        {isAdmin && (
          <Button variant="primary" onClick={() => setMaking(true)}>
            <Plus /> New profile
          </Button>
        )}
      </div>
      <ul className="divide-y rounded-lg border bg-panel" aria-label="Profiles">
        {profiles.data.items.map((profile) => {
          const mode = profile.profile.mode ?? MODE_DEFAULT;
          return (
            <li key={profile.id}>
              <button type="button" data-testid="profile" onClick={() => onOpen(profile.id)} className="grid w-full grid-cols-[minmax(0,1fr)_6rem] items-center gap-x-4 px-3 py-2.5 text-left hover:bg-raised md:grid-cols-[minmax(0,1fr)_6rem_14rem_12rem]">
                <span className="font-medium">{profile.name}</span>
                <span className={`text-xs font-medium ${MODE_COLOUR[mode]}`}>{mode}</span>
                <span className="text-xs text-text2">{assigned(profile)}</span>
                <span className="text-xs text-text3 md:text-right">v{profile.version} · {changedBy(profile)}</span>
              </button>
            </li>
          );
        })}
      </ul>
      <Dialog open={making} onOpenChange={setMaking} title="New profile">
        {making && <NewProfile onMade={(made) => { setMaking(false); onOpen(made.id); }} />}
      </Dialog>
    </div>
  );
}

function NewProfile({ onMade }: { onMade: (profile: WebProfile) => void }) {
  const client = useQueryClient();
  const { data: templates } = useQuery(templatesQuery);
  const [template, setTemplate] = useState("watch");
  const make = useMutation({
    mutationFn: (name: string) => api.post<WebProfile>("/profiles", { name, template }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["web", "profiles"] });
      onMade(made);
    },
    onError: (error) => toast.error("The profile was not made", { description: error.message }),
  });
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate(String(new FormData(event.currentTarget).get("name")).trim());
      }}
    >
      <Field label="Name">
        <Input name="name" required maxLength={100} autoComplete="off" />
      </Field>
      <div className="grid gap-1.5 text-xs font-medium text-text2">
        Begins as
        <Choice label="Template" value={template} onChange={setTemplate} options={(templates?.items ?? []).map((one) => ({ value: one.name, label: one.name }))} />
        <span className="font-normal text-text3">{templates?.items.find((one) => one.name === template)?.about}</span>
      </div>
      <Button type="submit" variant="primary" disabled={make.isPending}>
        Make the profile
      </Button>
    </form>
  );
}

const MEMBERS: readonly (readonly [string, string, string])[] = [
  ["mode", '"monitor"', "off, lite, monitor or protection"],
  ["fail", '"open"', "what happens without a verdict: open lets through, closed refuses"],
  ["threshold", "0.5", "the score from which a finding makes an attack"],
  ["classes", "{}", 'by kind: {"sqli": {"enabled": true, "threshold": 0.7}}'],
  ["routes", "[]", '[{"path": "/admin/**", "mode": "protection"}], the first that fits'],
  ["exclusions", "[]", '[{"route": "/search", "location": "query:q", "class": "sqli"}]'],
  ["rate_limit", "off", '{"requests": 600, "per_secs": 60} a client'],
  ["trusted_proxies", "[]", "networks whose X-Forwarded-For is believed"],
  ["secure_headers", "{}", "response headers, where the application sets none"],
  ["redact", "the usual", "names whose values never leave the process"],
  ["body_max", "131072", "bytes of a body that are inspected"],
  ["timeout_ms", "250", "how long an agent waits for a verdict"],
  ["block", '{"status": 403}', "and body: the page that a blocked client sees"],
  ["bans", "[]", "networks kept out by this profile, beside those of the platform"],
  ["virtual_patches", '""', "YAML: holes closed before the application is"],
];

/** What a profile may say, so that nobody has to leave the page for the manual. */
const Members = () => (
  <aside className="w-full overflow-y-auto lg:w-80" aria-label="Members of a profile">
    <h3 className="mb-2 text-xs font-semibold text-text2">What a profile may say</h3>
    <dl className="grid gap-2">
      {MEMBERS.map(([name, standard, about]) => (
        <div key={name} className="text-2xs">
          <dt className="flex items-baseline justify-between gap-2">
            <span className="mono text-xs text-text">{name}</span>
            <span className="mono text-text3">{standard}</span>
          </dt>
          <dd className="text-text3">{about}</dd>
        </div>
      ))}
    </dl>
  </aside>
);

const textOf = (profile: ProfileBody) => JSON.stringify(profile, null, 2);

function ProfileDetail({ profile, isAdmin, onBack }: { profile: WebProfile; isAdmin: boolean; onBack: () => void }) {
  const client = useQueryClient();
  const [text, setText] = useState(textOf(profile.profile));
  const [note, setNote] = useState("");
  const [history, setHistory] = useState(false);
  const parsed = parse(text);
  const changed = text !== textOf(profile.profile);
  const save = useMutation({
    mutationFn: (body: ProfileBody) => api.put<WebProfile>(`/profiles/${encodeURIComponent(profile.id)}`, { version: profile.version, profile: body, note }),
    onSuccess: (saved) => {
      toast.success(`Version ${saved.version} holds`, { description: saved.notes.join(" ") || "Agents have it within a second." });
      return client.invalidateQueries({ queryKey: ["web"] });
    },
  });
  const mode = parsed.body?.mode ?? MODE_DEFAULT;
  return (
    <div className="mx-auto flex h-full max-w-6xl min-h-0 flex-col gap-3 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <Button size="sm" variant="ghost" onClick={onBack}>
          <ArrowLeft /> Profiles
        </Button>
        <h2 className="text-base font-semibold">{profile.name}</h2>
        <Chip>v{profile.version}</Chip>
        <span className="text-xs text-text3">{assigned(profile)} · {changedBy(profile)}</span>
        <Button size="sm" className="ml-auto" onClick={() => setHistory(!history)} aria-pressed={history}>
          <History /> History
        </Button>
      </div>
      {isAdmin && (
        <div className="flex flex-wrap items-center gap-3">
          <Segmented label="Mode" value={mode} options={MODES} onChange={(next) => parsed.body && setText(textOf({ ...parsed.body, mode: next }))} />
          <span className="text-xs text-text3">{MODES.find((one) => one.value === mode)?.title}</span>
        </div>
      )}
      {profile.notes.map((one) => (
        <p key={one} className="text-xs text-sev-medium">{one}</p>
      ))}
      <div className="grid min-h-0 flex-1 grid-cols-1 gap-3 lg:grid-cols-[minmax(0,1fr)_auto]">
        <div className="h-full min-h-80 overflow-hidden rounded-lg border">
          <CodeEditor label="The profile as JSON" value={text} marks={parsed.error ? [parsed.error] : []} {...(isAdmin ? { onChange: setText } : {})} className="h-full" />
        </div>
        {history ? <Versions profile={profile} isAdmin={isAdmin} /> : <Members />}
      </div>
      {save.error && <Problem error={save.error} />}
      {isAdmin && (
        <form
          className="flex flex-wrap items-center gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            if (parsed.body) save.mutate(parsed.body);
          }}
        >
          <Input className="max-w-xl flex-1" placeholder="Why, for the history" aria-label="Why, for the history" value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} />
          <Button disabled={!changed} onClick={() => setText(textOf(profile.profile))}>Discard</Button>
          <Button type="submit" variant="primary" disabled={!changed || !parsed.body || save.isPending}>Save</Button>
        </form>
      )}
    </div>
  );
}

/** The profile in the editor, or where it stops being JSON. */
export function parse(text: string): { body?: ProfileBody; error?: { line: number; message: string } } {
  try {
    const body = JSON.parse(text) as unknown;
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return { body: body as ProfileBody };
    return { error: { line: 1, message: "A profile is an object." } };
  } catch (error) {
    const message = error instanceof Error ? error.message : "This is no JSON.";
    const line = /line (\d+)/.exec(message)?.[1];
    const position = /position (\d+)/.exec(message)?.[1];
    return { error: { line: line ? Number(line) : position ? text.slice(0, Number(position)).split("\n").length : 1, message } };
  }
}

function Versions({ profile, isAdmin }: { profile: WebProfile; isAdmin: boolean }) {
  const client = useQueryClient();
  const versions = useQuery(versionsQuery(profile.id));
  const [chosen, setChosen] = useState<number>();
  const restore = useMutation({
    mutationFn: (version: number) => api.post(`/profiles/${encodeURIComponent(profile.id)}/restore`, { version }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["web"] }),
    onError: (error) => toast.error("The version was not restored", { description: error.message }),
  });
  return (
    <aside className="flex w-full flex-col gap-2 overflow-y-auto lg:w-96" aria-label="History">
      {versions.error && <Problem error={versions.error} />}
      {versions.data?.items.length === 1 && <Empty title="The first version" className="h-auto py-4" />}
      <ol className="grid gap-1.5">
        {versions.data?.items.map((one, i) => {
          const before = versions.data.items[i + 1];
          return (
            <li key={one.version} className="rounded-md border bg-panel p-2 text-xs">
              <p className="flex flex-wrap items-center gap-x-2">
                <b className="font-semibold">v{one.version}</b>
                <span className="text-text3">{dateTime(one.time).slice(0, 16)} by {one.actor}</span>
                <span className="ml-auto flex gap-1">
                  {before && <Button size="sm" variant="ghost" onClick={() => setChosen(chosen === one.version ? undefined : one.version)}>{chosen === one.version ? "Hide" : "Changes"}</Button>}
                  {isAdmin && one.version !== profile.version && (
                    <Button size="sm" variant="ghost" aria-label={`Restore version ${one.version}`} onClick={() => confirm(`Make version ${one.version} the newest again?`) && restore.mutate(one.version)}>
                      <RotateCcw /> Restore
                    </Button>
                  )}
                </span>
              </p>
              {one.note && <p className="mt-0.5 text-text2">“{one.note}”</p>}
              {before && chosen === one.version && <Changes id={profile.id} from={before.version} to={one.version} />}
            </li>
          );
        })}
      </ol>
    </aside>
  );
}

const shown = (value: unknown) => JSON.stringify(value);

function Changes({ id, from, to }: { id: string; from: number; to: number }) {
  const { data, error } = useQuery(diffQuery(id, from, to));
  if (error) return <Problem error={error} />;
  if (data?.changes.length === 0) return <p className="mt-1 text-text3">Nothing but the note changed.</p>;
  return (
    <ul className="mt-1.5 grid gap-1.5">
      {data?.changes.map((one) => (
        <li key={one.path} className="mono text-2xs break-all">
          <p className="text-text3">{one.path || "/"}</p>
          {one.from !== undefined && one.from !== null && <p className="text-sev-critical">− {shown(one.from)}</p>}
          {one.to !== undefined && one.to !== null && <p className="text-ok">+ {shown(one.to)}</p>}
        </li>
      ))}
    </ul>
  );
}
