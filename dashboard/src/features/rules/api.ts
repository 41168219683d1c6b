import { api } from "@/lib/api";
import type { Alert, Listed, Replay, RuleCheck, RuleDetail } from "@/lib/types";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

export const ruleQuery = (id: string) => queryOptions({ queryKey: ["rule", id], queryFn: ({ signal }) => api.get<RuleDetail>(`/rules/${encodeURIComponent(id)}`, {}, signal), staleTime: 30_000 });

const ALERTS_ASKED = 100;
const ALERTS_SHOWN = 8;

/** The newest alerts of a rule. The server searches by text: alerts of other rules of that name are left out here. */
export const ruleAlertsQuery = (id: string, name: string) =>
  queryOptions({
    queryKey: ["alerts", "of-rule", id, name],
    queryFn: async ({ signal }) => {
      const { items } = await api.get<Listed<Alert>>("/alerts", { q: name, signals: "true", limit: ALERTS_ASKED }, signal);
      return items.filter((alert) => alert.rule.id === id).slice(0, ALERTS_SHOWN);
    },
    refetchInterval: 30_000,
  });

export const checkQuery = (text: string) =>
  queryOptions({ queryKey: ["rule-check", text], queryFn: ({ signal }) => api.post<RuleCheck>("/rules/check", { text }, signal), staleTime: 60_000, gcTime: 60_000, placeholderData: keepPreviousData, enabled: text.trim() !== "" });

export interface ReplayRequest {
  text: string;
  from: string;
  to: string;
}

/** Longer than what the server takes on its own: the reader watches, and can stop it. */
const SECS_MAX = 300;
export const replay = (request: ReplayRequest, signal: AbortSignal): Promise<Replay> => api.post<Replay>("/rules/replay", { ...request, secs_max: SECS_MAX }, signal);
