// What the page about web protection asks for.
import { api } from "@/lib/api";
import { searchEvents } from "@/lib/queries";
import type { SearchPage } from "@/lib/search-types";
import type { Listed, OcsfEvent } from "@/lib/types";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

export type AgentStatus = "new" | "online" | "late" | "offline" | "disabled";
export type Mode = "off" | "lite" | "monitor" | "protection";

export interface Counters {
  requests: number;
  attacks: number;
  blocked: number;
  errors: number;
  dropped: number;
  queue: number;
}

export interface Agent {
  id: string;
  name: string;
  application: string;
  enabled: boolean;
  /** Of its own; null: that of the application, else the default. */
  profile: string | null;
  profile_in_force: { id: string; name: string; version: number; by: "agent" | "application" | "default" };
  status: AgentStatus;
  instances: number;
  instances_online: number;
  last_seen: string | null;
  counters: Counters;
  created_at: string;
  created_by: string;
}

export interface NewAgent {
  agent: Agent;
  secret: string;
  environment: Record<string, string>;
}

export interface Instance {
  agent: string;
  instance: string;
  application: string;
  status: "online" | "late" | "offline";
  first_seen: string;
  last_seen: string;
  up_to_date: boolean;
  hello: {
    agent_version?: string;
    language?: string;
    framework?: string;
    host?: { hostname?: string; os?: string; arch?: string; pid?: number | null; runtime?: string; runtime_version?: string; run_as?: string };
    counters?: Partial<Counters>;
  };
}

export interface Exclusion {
  route?: string;
  location?: string;
  class?: string;
}

/** What agents are told to do; absent members have their defaults. */
export interface ProfileBody {
  mode?: Mode;
  threshold?: number;
  exclusions?: Exclusion[];
  [member: string]: unknown;
}

export interface WebProfile {
  id: string;
  name: string;
  version: number;
  updated_at: string;
  updated_by: string;
  note: string;
  profile: ProfileBody;
  agents: number;
  applications: number;
  notes: string[];
}

export interface ProfileVersion {
  version: number;
  time: string;
  actor: string;
  note: string;
  profile: ProfileBody;
}

export interface ProfileDiff {
  from: number;
  to: number;
  changes: { path: string; kind: "added" | "removed" | "changed"; from?: unknown; to?: unknown }[];
}

export interface ProfileTemplate {
  name: string;
  about: string;
  profile: ProfileBody;
}

const EVERY_MS = 5_000;
export const agentsQuery = queryOptions({ queryKey: ["web", "agents"], queryFn: ({ signal }) => api.get<Listed<Agent>>("/agents", {}, signal), refetchInterval: EVERY_MS });
export const instancesQuery = queryOptions({ queryKey: ["web", "instances"], queryFn: ({ signal }) => api.get<Listed<Instance>>("/agents/instances", {}, signal), refetchInterval: EVERY_MS });
export const profilesQuery = queryOptions({ queryKey: ["web", "profiles"], queryFn: ({ signal }) => api.get<Listed<WebProfile>>("/profiles", {}, signal) });
export const templatesQuery = queryOptions({ queryKey: ["web", "templates"], queryFn: ({ signal }) => api.get<Listed<ProfileTemplate>>("/profiles/templates", {}, signal), staleTime: Infinity });
export const versionsQuery = (id: string) => queryOptions({ queryKey: ["web", "profiles", id, "versions"], queryFn: ({ signal }) => api.get<Listed<ProfileVersion>>(`/profiles/${encodeURIComponent(id)}/versions`, {}, signal) });
export const diffQuery = (id: string, from: number, to: number) => queryOptions({ queryKey: ["web", "profiles", id, "diff", from, to], queryFn: ({ signal }) => api.get<ProfileDiff>(`/profiles/${encodeURIComponent(id)}/diff`, { from, to }, signal) });

/** Requests with findings, as every other event. */
export const INSPECTED = "metadata.log_format:web_inspection";
export const ATTACKS = `${INSPECTED} AND message:attack`;

export const RANGES = { "1h": { secs: 3_600, bucket: 60 }, "24h": { secs: 86_400, bucket: 900 }, "7d": { secs: 604_800, bucket: 10_800 } } as const;
export type RangeName = keyof typeof RANGES;
const since = (range: RangeName) => new Date(Date.now() - RANGES[range].secs * 1000).toISOString();

/** Findings by time and kind of attack. */
export const kindsOverTimeQuery = (range: RangeName) =>
  queryOptions({
    queryKey: ["web", "kinds", range],
    queryFn: async ({ signal }) => {
      const from = since(range);
      const { rows } = await api.post<{ rows: [string, string | null, number][] }>("/search/aggregate", { q: INSPECTED, from, by: [{ time: RANGES[range].bucket }, { field: "finding_info.types" }], metrics: [{ count: true }], limit: 10_000 }, signal);
      return { from, rows };
    },
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });

export const TOP_FIELDS = ["http_request.url.path", "src_endpoint.ip", "metadata.product.name", "status_detail"] as const;
/** The newest verdicts, and what is frequent among all of them. */
export const verdictsQuery = (range: RangeName) =>
  queryOptions({
    queryKey: ["web", "verdicts", range],
    queryFn: ({ signal }): Promise<SearchPage> => searchEvents({ q: INSPECTED, from: since(range), limit: 100, fields: [...TOP_FIELDS] }, signal),
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });

export interface Found {
  analyser: string;
  class: string;
  location: string;
  chain: string[];
  value: string;
  score: number;
  cwe: string;
  technique: string;
  why: string;
}

/** A line of the gateway, as it stands in `raw_data`. */
export interface Verdict {
  agent: { id: string; name: string; application: string };
  mode: string;
  blocked: boolean;
  verdict: "allow" | "attack";
  score: number;
  classes: string[];
  findings: Found[];
  policy?: string[];
  truncated?: string[];
  latency_us: number;
  client_ip?: string;
  request: { method?: string; uri?: string; host?: string; route?: string; user_agent?: string };
  response?: { status: number };
}

/** The verdict of an event; null if its text is not one (cut off, or of a later version). */
export function verdictOf(event: OcsfEvent): Verdict | null {
  try {
    const line = JSON.parse(String((event as { raw_data?: unknown }).raw_data ?? "")) as Verdict;
    return line.verdict && line.request && Array.isArray(line.findings) ? line : null;
  } catch {
    return null;
  }
}

/** Adds an exclusion to a profile as it is now: a newer version than the one on the page is no conflict, since the list only grows. */
export async function exclude(profileId: string, exclusion: Exclusion, note: string): Promise<WebProfile> {
  const path = `/profiles/${encodeURIComponent(profileId)}`;
  const now = await api.get<WebProfile>(path);
  return api.put<WebProfile>(path, { version: now.version, profile: withExclusion(now.profile, exclusion), note });
}

const same = (a: Exclusion, b: Exclusion) => a.route === b.route && a.location === b.location && a.class === b.class;
export function withExclusion(profile: ProfileBody, exclusion: Exclusion): ProfileBody {
  const old = profile.exclusions ?? [];
  return old.some((one) => same(one, exclusion)) ? profile : { ...profile, exclusions: [...old, exclusion] };
}

/** The template of a path whose numbers and ids are anything: what an exclusion is about is a route, not one order. */
export function routeOf(verdict: Verdict): string {
  if (verdict.request.route) return verdict.request.route.replace(/\{[^/]*\}|<[^/]*>|:[^/]+/g, "*");
  const path = (verdict.request.uri ?? "/").replace(/^https?:\/\/[^/]*/, "").split(/[?#]/)[0] || "/";
  return path.split("/").map((part) => (/^\d+$|^[0-9a-f]{8,}(-[0-9a-f]+)*$/i.test(part) ? "*" : part)).join("/");
}
