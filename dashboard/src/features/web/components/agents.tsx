import { Chip, Empty, Problem, Skeleton, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/input";
import { Choice } from "@/components/ui/menu";
import { Dialog, Sheet } from "@/components/ui/overlay";
import { Segmented } from "@/components/ui/segmented";
import { Facts, Section } from "@/components/ui/section";
import { api } from "@/lib/api";
import { cn } from "@/lib/cn";
import { compact, exact, plural } from "@/lib/number";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { dateTime, since } from "@/lib/time";
import { useNow } from "@/lib/use-now";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { agentsQuery, instancesQuery, profilesQuery, type Agent, type AgentStatus, type Instance, type NewAgent } from "../api";

const STATUS: Record<AgentStatus, { label: string; dot: string }> = {
  online: { label: "online", dot: "bg-ok" },
  late: { label: "late", dot: "bg-sev-medium" },
  offline: { label: "offline", dot: "bg-sev-high" },
  new: { label: "never seen", dot: "border border-line2" },
  disabled: { label: "disabled", dot: "bg-text3" },
};

const Status = ({ status }: { status: AgentStatus }) => (
  <span className="flex items-center gap-1.5 text-xs whitespace-nowrap text-text2">
    <span className={cn("size-2 rounded-full", STATUS[status].dot)} /> {STATUS[status].label}
  </span>
);

/** Applications with their agents and instances, as a tree. */
export function Agents({ openId, onOpen }: { openId: string | undefined; onOpen: (id: string | undefined) => void }) {
  const agents = useQuery(agentsQuery);
  const { data: instances } = useQuery(instancesQuery);
  const [making, setMaking] = useState(false);
  const isAdmin = may(useStore(session), "admin");
  if (agents.error && !agents.data) return <div className="p-3"><Problem error={agents.error} retry={() => void agents.refetch()} /></div>;
  if (!agents.data) return <Skeleton className="m-3 h-40" />;
  const make = isAdmin && (
    <Button variant="primary" onClick={() => setMaking(true)}>
      <Plus /> New agent
    </Button>
  );
  const byApplication = new Map<string, Agent[]>();
  for (const agent of agents.data.items) byApplication.set(agent.application, [...(byApplication.get(agent.application) ?? []), agent]);
  const open = agents.data.items.find((agent) => agent.id === openId);
  return (
    <div className="mx-auto max-w-6xl space-y-3 p-4">
      {agents.data.items.length === 0 ? (
        <Empty title="No agent yet" className="h-auto py-20">
          <div className="grid justify-items-center gap-3">
            <p>An agent stands inside an application and asks about each request before the handler runs. Make one, and set its lines in the application's environment.</p>
            {make || <p>An administrator can make one.</p>}
          </div>
        </Empty>
      ) : (
        <>
          <div className="flex items-center justify-between gap-3">
            <p className="text-xs text-text3">An application has agents, an agent as many instances as processes run with its secret.</p>
            {make}
          </div>
          {[...byApplication].toSorted(([a], [b]) => a.localeCompare(b)).map(([application, list]) => (
            <section key={application} className="rounded-lg border bg-panel" aria-label={application || "No application"}>
              <h2 className="flex items-baseline gap-2 px-3 py-2 text-sm font-semibold">
                {application || "No application"} <span className="text-2xs font-normal text-text3">{plural(list.length, "agent")}</span>
              </h2>
              <ul className="divide-y border-t">
                {list.map((agent) => (
                  <AgentRow key={agent.id} agent={agent} instances={instances?.items.filter((one) => one.agent === agent.id) ?? []} onOpen={() => onOpen(agent.id)} />
                ))}
              </ul>
            </section>
          ))}
        </>
      )}
      <Dialog open={making} onOpenChange={setMaking} title="New agent">
        {making && <NewAgentForm applications={[...byApplication.keys()]} />}
      </Dialog>
      {open && <AgentSheet key={open.id} agent={open} instances={instances?.items.filter((one) => one.agent === open.id) ?? []} onClose={() => onOpen(undefined)} isAdmin={isAdmin} />}
    </div>
  );
}

function AgentRow({ agent, instances, onOpen }: { agent: Agent; instances: readonly Instance[]; onOpen: () => void }) {
  const now = useNow(10_000);
  return (
    <li className="px-3 py-2" data-testid="agent">
      <button type="button" onClick={onOpen} className="grid w-full grid-cols-[minmax(0,1fr)_6rem] items-center gap-x-4 gap-y-1 text-left md:grid-cols-[minmax(0,1fr)_6rem_11rem_14rem]">
        <span className="min-w-0 truncate font-medium">{agent.name}</span>
        <Status status={agent.status} />
        <span className="truncate text-xs text-text3">
          {agent.profile_in_force.name} v{agent.profile_in_force.version}
        </span>
        <span className="text-xs text-text2 md:text-right">
          {compact(agent.counters.requests)} requests · <b className={cn("font-semibold", agent.counters.attacks > 0 && "text-sev-high")}>{compact(agent.counters.attacks)}</b> attacks · {compact(agent.counters.blocked)} blocked
        </span>
      </button>
      {instances.length > 0 && (
        <ul className="mt-1 ml-2 border-l pl-3">
          {instances.slice(0, 20).map((one) => (
            <li key={one.instance} className="flex flex-wrap items-center gap-x-4 py-0.5 text-xs text-text3">
              <Status status={one.status} />
              <span className="mono truncate">{one.hello.host?.hostname ?? "?"}:{one.hello.host?.pid ?? "?"}</span>
              <span>{[one.hello.framework, one.hello.host?.runtime, one.hello.host?.runtime_version].filter(Boolean).join(" ")}</span>
              {!one.up_to_date && one.status === "online" && <Chip className="border-sev-medium/60 text-sev-medium" title="It has not told yet that it has the newest profile">older profile</Chip>}
              <span className="ml-auto" title={dateTime(one.last_seen)}>{since(one.last_seen, now)}</span>
            </li>
          ))}
          {instances.length > 20 && <li className="text-xs text-text3">and {exact(instances.length - 20)} more</li>}
        </ul>
      )}
    </li>
  );
}

const failed = (error: Error) => toast.error("The agent was not changed", { description: error.message });

function AgentSheet({ agent, instances, onClose, isAdmin }: { agent: Agent; instances: readonly Instance[]; onClose: () => void; isAdmin: boolean }) {
  const client = useQueryClient();
  const { data: profiles } = useQuery(profilesQuery);
  const path = `/agents/${encodeURIComponent(agent.id)}`;
  const [secret, setSecret] = useState<NewAgent>();
  const refresh = () => client.invalidateQueries({ queryKey: ["web"] });
  const change = useMutation({
    mutationFn: (part: Partial<Agent>) => api.put<Agent>(path, { name: agent.name, application: agent.application, profile: agent.profile, enabled: agent.enabled, ...part }),
    onSuccess: refresh,
    onError: failed,
  });
  const rotate = useMutation({ mutationFn: () => api.post<NewAgent>(`${path}/secret`), onSuccess: setSecret, onError: failed });
  const remove = useMutation({ mutationFn: () => api.delete(path), onSuccess: () => { onClose(); return refresh(); }, onError: failed });
  return (
    <Sheet open onOpenChange={(open) => !open && onClose()} title={agent.name} description={`${agent.application || "no application"} · made ${dateTime(agent.created_at).slice(0, 10)} by ${agent.created_by}`}>
      <div className="grid gap-5 p-4">
        <Facts
          facts={[
            ["Status", <Status key="status" status={agent.status} />],
            ["Last seen", agent.last_seen ? since(agent.last_seen) : "never"],
            ["Profile", `${agent.profile_in_force.name}, by ${agent.profile_in_force.by}`],
            ["Requests", exact(agent.counters.requests)],
            ["Attacks", exact(agent.counters.attacks)],
            ["Blocked", exact(agent.counters.blocked)],
            ["Errors", exact(agent.counters.errors)],
            ["Dropped", exact(agent.counters.dropped)],
            ["Waiting", exact(agent.counters.queue)],
          ]}
        />
        {isAdmin && (
          <Section title="What it is told">
            <div className="flex flex-wrap items-center gap-2">
              <Choice
                label="Profile"
                value={agent.profile ?? ""}
                onChange={(id) => change.mutate({ profile: id || null })}
                options={[{ value: "", label: "That of its application" }, ...(profiles?.items ?? []).map((one) => ({ value: one.id, label: one.name }))]}
              />
              <Button size="sm" onClick={() => change.mutate({ enabled: !agent.enabled })}>{agent.enabled ? "Disable" : "Enable"}</Button>
              <Button size="sm" onClick={() => confirm(`Give ${agent.name} a new secret? The old one is refused at once.`) && rotate.mutate()}>New secret</Button>
              <Button size="sm" variant="danger" onClick={() => confirm(`Delete ${agent.name}? Its requests are refused at once.`) && remove.mutate()}>Delete</Button>
            </div>
          </Section>
        )}
        {secret && <Environment made={secret} />}
        <Section title="Instances" aside={plural(instances.length, "instance")}>
          {instances.length === 0 && <p className="text-xs text-text3">None has said hello yet.</p>}
          <ul className="grid gap-2">
            {instances.map((one) => (
              <li key={one.instance} className="rounded-md border p-2.5">
                <p className="mb-2 flex items-center justify-between gap-2">
                  <span className="mono truncate text-xs">{one.instance}</span> <Status status={one.status} />
                </p>
                <Facts
                  facts={[
                    ["Host", one.hello.host?.hostname ?? "–"],
                    ["Process", String(one.hello.host?.pid ?? "–")],
                    ["Runs as", one.hello.host?.run_as ?? "–"],
                    ["Runtime", [one.hello.host?.runtime, one.hello.host?.runtime_version].filter(Boolean).join(" ") || "–"],
                    ["Framework", one.hello.framework || "–"],
                    ["System", [one.hello.host?.os, one.hello.host?.arch].filter(Boolean).join(" ") || "–"],
                    ["Agent", [one.hello.language, one.hello.agent_version].filter(Boolean).join(" ") || "–"],
                    ["Since", dateTime(one.first_seen)],
                    ["Profile", one.up_to_date ? "newest" : "older"],
                  ]}
                />
              </li>
            ))}
          </ul>
        </Section>
      </div>
    </Sheet>
  );
}

function NewAgentForm({ applications }: { applications: readonly string[] }) {
  const client = useQueryClient();
  const make = useMutation({
    mutationFn: (asked: { name: string; application: string }) => api.post<NewAgent>("/agents", asked),
    onSuccess: () => client.invalidateQueries({ queryKey: ["web"] }),
    onError: (error) => toast.error("The agent was not made", { description: error.message }),
  });
  if (make.data) return <Environment made={make.data} />;
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        make.mutate({ name: String(form.get("name")).trim(), application: String(form.get("application")).trim() });
      }}
    >
      <Field label="Name" hint="Of a service or a host: shop-backend, web-1.">
        <Input name="name" required autoComplete="off" maxLength={64} pattern="[A-Za-z0-9._@\-]+" title="Letters, digits and . _ @ -" />
      </Field>
      <Field label="Application" hint="Agents of one application share its profile.">
        <Input name="application" autoComplete="off" maxLength={100} list="web-applications" />
      </Field>
      <datalist id="web-applications">
        {applications.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </datalist>
      <Button type="submit" variant="primary" disabled={make.isPending}>
        Make the agent
      </Button>
    </form>
  );
}

const USES = {
  python: `pip install ./agents/python

import erne_agent
erne_agent.flask(app)          # Flask
app = erne_agent.asgi.Middleware(app)   # FastAPI, Starlette, any ASGI
# Django: "erne_agent.django.Middleware", first in MIDDLEWARE`,
  java: `<dependency>
  <groupId>io.erne</groupId>
  <artifactId>erne-agent-spring-boot-starter</artifactId>
</dependency>`,
} as const;

/** The secret, shown once, as lines of an environment, and how an application uses them. */
function Environment({ made }: { made: NewAgent }) {
  const [language, setLanguage] = useState<keyof typeof USES>("python");
  const lines = Object.entries(made.environment).map(([name, value]) => `export ${name}=${/^[\w@%+=:,./-]*$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`}`);
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-3">
      <p className="text-sm text-text2">Copy it now: the secret is not shown again.</p>
      <div data-testid="agent-environment">
        <Snippet text={lines.join("\n")} />
      </div>
      <Segmented label="Language" className="justify-self-start" value={language} onChange={setLanguage} options={[{ value: "python", label: "Python" }, { value: "java", label: "Java" }]} />
      <Snippet text={USES[language]} />
    </div>
  );
}
