import { useGo } from "@/lib/go";
import { clause, quoted } from "@/lib/query/edit";
import { lex } from "@/lib/query/lex";
import { setPref, shownTheme } from "@/lib/prefs";
import { rulesQuery } from "@/lib/queries";
import { useStore } from "@/lib/store";
import { SeverityMark } from "@/components/ui/severity";
import { useQuery } from "@tanstack/react-query";
import { Command } from "cmdk";
import { Activity, Ban, BellRing, Fingerprint, Globe, LayoutDashboard, Moon, Monitor, Network, Search, Settings, ShieldCheck, ShieldOff, Siren, Sun, TextSearch, User } from "lucide-react";
import { useState, type ReactNode } from "react";

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:]+)$/i;
const RULES_MAX = 8;

/** Ctrl-K: pages, rules, everything about an entity, and a search of the events for whatever was typed. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const go = useGo();
  const theme = useStore(shownTheme);
  const [text, setText] = useState("");
  const { data: rules } = useQuery(rulesQuery);
  const value = text.trim();
  const run = (action: () => void) => () => {
    onClose();
    action();
  };
  // With a field in it, it is a query and not a name.
  const isQuery = !ADDRESS.test(value) && lex(value).some((token) => token.kind === "field");
  const hits = value.length < 2 ? [] : (rules?.items ?? []).filter((r) => `${r.name} ${r.techniques.join(" ")}`.toLowerCase().includes(value.toLowerCase())).slice(0, RULES_MAX);
  const pages: [string, ReactNode, () => void][] = [
    ["Overview", <LayoutDashboard key="i" />, go.overview],
    ["Live events", <Activity key="i" />, () => go.live()],
    ["Search events", <TextSearch key="i" />, () => go.search({})],
    ["SQL", <TextSearch key="i" />, () => go.search({ view: "sql" })],
    ["Alerts", <BellRing key="i" />, () => go.alerts({})],
    ["Incidents", <Siren key="i" />, () => go.incidents({})],
    ["Entities by risk", <Fingerprint key="i" />, go.entities],
    ["Rules", <ShieldCheck key="i" />, () => go.rules({})],
    ["Web protection", <Globe key="i" />, () => go.web()],
    ["New rule", <ShieldCheck key="i" />, go.newRule],
    ["Exceptions", <ShieldOff key="i" />, go.exceptions],
    ["Bans", <Ban key="i" />, () => go.bans()],
    ["Settings", <Settings key="i" />, () => go.settings()],
    ["Send data", <Settings key="i" />, () => go.settings("send")],
    [theme === "dark" ? "Light theme" : "Dark theme", theme === "dark" ? <Sun key="i" /> : <Moon key="i" />, () => setPref("theme", theme === "dark" ? "light" : "dark")],
  ];
  const shown = pages.filter(([label]) => label.toLowerCase().includes(value.toLowerCase()));
  return (
    <Command.Dialog
      open
      shouldFilter={false}
      onOpenChange={(open) => !open && onClose()}
      label="Find and go to"
      overlayClassName="fixed inset-0 z-40 bg-black/50"
      contentClassName="fixed top-[14dvh] left-1/2 z-50 w-[min(36rem,calc(100vw-1.5rem))] -translate-x-1/2 overflow-hidden rounded-lg border border-line2 bg-panel shadow-(--shadow)"
    >
      <div className="flex items-center gap-2 border-b px-3">
        <Search className="size-4 text-text3" />
        <Command.Input value={text} onValueChange={setText} placeholder="An IP, a user, field:value, a rule, a page…" className="h-11 w-full bg-transparent text-base outline-none placeholder:text-text3" />
      </div>
      <Command.List className="max-h-[50dvh] overflow-y-auto p-1.5">
        <Command.Empty className="p-4 text-center text-xs text-text3">Nothing here has that name.</Command.Empty>
        {value && (
          <Group heading="Look up">
            {isQuery ? (
              <Item id="filter" onSelect={run(() => go.search({ range: "24h", q: value }))} icon={<TextSearch />}>
                Events with <b className="mono">{value}</b>, last 24 h
              </Item>
            ) : (
              <>
                {ADDRESS.test(value) && (
                  <Item id="entity-ip" onSelect={run(() => go.entity({ kind: "ip", value }))} icon={<Network />}>
                    Everything about <b className="mono">{value}</b>
                  </Item>
                )}
                {!ADDRESS.test(value) && !/\s/.test(value) && (
                  <>
                    <Item id="entity-user" onSelect={run(() => go.entity({ kind: "user", value }))} icon={<User />}>
                      Everything about the user <b className="mono">{value}</b>
                    </Item>
                    <Item id="entity-host" onSelect={run(() => go.entity({ kind: "host", value }))} icon={<Monitor />}>
                      Everything about the host <b className="mono">{value}</b>
                    </Item>
                  </>
                )}
                {ADDRESS.test(value) && (
                  <Item id="ip" onSelect={run(() => go.search({ range: "24h", q: clause("src_endpoint.ip", value) }))} icon={<Network />}>
                    Events from <b className="mono">{value}</b>, last 24 h
                  </Item>
                )}
                {!ADDRESS.test(value) && !/\s/.test(value) && (
                  <Item id="user" onSelect={run(() => go.search({ range: "24h", q: clause("actor.user.name", value) }))} icon={<User />}>
                    Events of user <b className="mono">{value}</b>, last 24 h
                  </Item>
                )}
                <Item id="text" onSelect={run(() => go.search({ range: "24h", q: quoted(value) }))} icon={<TextSearch />}>
                  Events that contain <b className="mono">{value}</b>, last 24 h
                </Item>
                <Item id="incidents" onSelect={run(() => go.incidents({ state: "all", q: value }))} icon={<Siren />}>
                  Incidents that contain <b className="mono">{value}</b>
                </Item>
                <Item id="alerts" onSelect={run(() => go.alerts({ state: "all", q: value }))} icon={<BellRing />}>
                  Alerts that contain <b className="mono">{value}</b>
                </Item>
              </>
            )}
          </Group>
        )}
        {shown.length > 0 && (
          <Group heading="Go to">
            {shown.map(([label, icon, action]) => (
              <Item key={label} id={`page-${label}`} icon={icon} onSelect={run(action)}>
                {label}
              </Item>
            ))}
          </Group>
        )}
        {hits.length > 0 && (
          <Group heading="Rules">
            {hits.map((rule) => (
              <Item key={rule.id} id={`rule-${rule.id}`} icon={<SeverityMark severity={rule.level} />} onSelect={run(() => go.rule(rule.id))}>
                {rule.name}
              </Item>
            ))}
          </Group>
        )}
      </Command.List>
    </Command.Dialog>
  );
}

const Group = ({ heading, children }: { heading: string; children: ReactNode }) => (
  <Command.Group heading={heading} className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-2xs [&_[cmdk-group-heading]]:text-text3">
    {children}
  </Command.Group>
);

const Item = ({ id, icon, children, onSelect }: { id: string; icon: ReactNode; children: ReactNode; onSelect: () => void }) => (
  <Command.Item value={id} onSelect={onSelect} className="flex h-9 cursor-default items-center gap-2.5 rounded-md px-2 text-sm text-text2 aria-selected:bg-raised aria-selected:text-text [&_svg]:size-4 [&_svg]:shrink-0">
    {icon}
    <span className="truncate">{children}</span>
  </Command.Item>
);
