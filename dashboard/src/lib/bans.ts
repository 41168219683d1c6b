// Who is kept out, and who never is.
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api } from "./api";
import { queryClient } from "./queries";
import { plural } from "./number";
import type { AnswerStatus, Ban, BanAction, BanCheck, Listed, NewBan, Trust } from "./types";

const PAGE = 200;

export const bansQuery = (all: boolean, q: string) =>
  queryOptions({
    queryKey: ["bans", "list", all, q],
    queryFn: ({ signal }) => api.get<Listed<Ban>>("/bans", { ...(all ? {} : { state: "active" }), q, limit: PAGE }, signal),
    // How the actions stand changes without a message.
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });

export const trustsQuery = queryOptions({
  queryKey: ["bans", "trusts"],
  queryFn: ({ signal }) => api.get<Listed<Trust>>("/trusts", {}, signal),
  refetchInterval: 60_000,
});

export const answerQuery = queryOptions({
  queryKey: ["bans", "answer"],
  queryFn: ({ signal }) => api.get<AnswerStatus>("/answer", {}, signal),
  refetchInterval: 10_000,
});

export const checkBan = (cidr: string, signal?: AbortSignal): Promise<BanCheck> => api.post<BanCheck>("/bans/check", { cidr }, signal);
export const makeBan = (body: NewBan): Promise<Ban> => api.post<Ban>("/bans", body);
export const undoBan = (id: string): Promise<{ undone: Ban[] }> => api.delete(`/bans/${encodeURIComponent(id)}`);
export const makeTrust = (body: { cidr: string; reason: string }): Promise<{ trust: Trust; undone: Ban[] }> => api.post("/trusts", body);
export const deleteTrust = (id: string): Promise<void> => api.delete(`/trusts/${encodeURIComponent(id)}`);
export const refreshBans = (): Promise<void> => queryClient.invalidateQueries({ queryKey: ["bans"] });

/** Single addresses without their length, as people write them. */
export const shownNet = (cidr: string): string => cidr.replace(/\/32$|\/128$/, "");

/** `256 addresses`, `65,536 networks of /64`. */
export function sizeOf(check: Pick<BanCheck, "cidr" | "size">): string {
  return check.cidr.includes(":") ? (check.size === 1 ? "one /64: what one customer has" : `${check.size.toLocaleString("en")} networks of /64`) : plural(check.size, "address", "addresses");
}

const pad = (n: number) => String(n).padStart(2, "0");

/** `3:07:42` or `6 d 4 h` until then; empty when it is over. */
export function countdown(until: string, now: number): string {
  const secs = Math.ceil((Date.parse(until) - now) / 1000);
  if (!(secs > 0)) return "";
  const [d, h, m, s] = [Math.floor(secs / 86_400), Math.floor(secs / 3600) % 24, Math.floor(secs / 60) % 60, secs % 60];
  if (d > 0) return h > 0 ? `${d} d ${h} h` : `${d} d`;
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** How much of its time a ban has left, 0 to 1. */
export function left(ban: Pick<Ban, "created_at" | "until">, now: number): number {
  if (ban.until === null) return 1;
  const [from, to] = [Date.parse(ban.created_at), Date.parse(ban.until)];
  return to > from ? Math.min(1, Math.max(0, (to - now) / (to - from))) : 0;
}

/** The worst state among the actions decides how a ban looks. */
export function worst(actions: readonly BanAction[]): BanAction["state"] | "none" {
  for (const state of ["failed", "pending", "trusted", "applied"] as const) if (actions.some((action) => action.state === state)) return state;
  return "none";
}
