import { describe, expect, it } from "vitest";
import { around, entityAt, searchOf } from "./entity";
import { mergeIncidents } from "./incidents";
import { riskLevel, riskShare, wholeWeek } from "./risk";
import type { Incident } from "./types";

const incident = (id: string, more: Partial<Incident> = {}) => ({ id, last_seen: "2026-01-01T00:00:00Z", alert_count: 1, signal_count: 0, event_count: 1, state: "open", history: [], ...more }) as unknown as Incident;
const all = () => true;

describe("incidents of the socket", () => {
  it("replace what was fetched before them, whatever changed", () => {
    const live = [{ incident: incident("a", { assignee: "mira" }), created: false, at: 20 }];
    expect(mergeIncidents([incident("a")], 10, live, all)[0]?.assignee).toBe("mira");
    expect(mergeIncidents([incident("a", { assignee: "jonas" })], 30, live, all)[0]?.assignee).toBe("jonas");
  });
  it("replace what was fetched after them only where they are later", () => {
    const live = [{ incident: incident("a", { alert_count: 5 }), created: false, at: 1 }, { incident: incident("b", { history: [{ state: "closed", actor: "x", time: "" }] }), created: false, at: 2 }];
    const merged = mergeIncidents([incident("a", { alert_count: 3 }), incident("b", { alert_count: 9 })], 10, live, all);
    expect(merged.find((i) => i.id === "a")?.alert_count).toBe(5);
    expect(merged.find((i) => i.id === "b")?.history).toHaveLength(1);
  });
  it("are not brought back when a later fetch no longer has them", () => {
    const live = [{ incident: incident("gone"), created: true, at: 1000 }];
    expect(mergeIncidents([], 60_000, live, all)).toEqual([]);
    expect(mergeIncidents([], 1200, live, all)).toHaveLength(1);
  });
  it("join the list newest first, and leave it when they no longer belong", () => {
    const live = [{ incident: incident("b", { last_seen: "2026-01-02T00:00:00Z" }), created: true, at: 20 }, { incident: incident("a", { state: "closed" }), created: false, at: 21 }];
    expect(mergeIncidents([incident("a"), incident("c")], 10, live, (i) => i.state === "open").map((i) => i.id)).toEqual(["b", "c"]);
  });
});

describe("entities", () => {
  it("are found in the fields that name one", () => {
    expect(entityAt("actor.user.name", "alice")).toEqual({ kind: "user", value: "alice" });
    expect(entityAt("constructor", "x")).toBeUndefined();
    expect(entityAt("src_endpoint.ip", "")).toBeUndefined();
  });
  it("are searched by their field, and as text where they have none", () => {
    expect(searchOf({ kind: "ip", value: "203.0.113.7" })).toEqual({ q: "src_endpoint.ip:203.0.113.7" });
    expect(searchOf({ kind: "group", value: "a" })).toEqual({ q: "a" });
  });
  it("are looked at with some time before and after", () => {
    expect(around("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z")).toEqual({ from: "2026-01-01T00:45:00.000Z", to: "2026-01-01T02:15:00.000Z" });
  });
});

describe("risk", () => {
  it.each([[0, "informational"], [1, "low"], [25, "medium"], [50, "high"], [79, "high"], [400, "critical"]])("of %d is %s", (risk, want) => expect(riskLevel(risk)).toBe(want));
  it("of a week begins a week ago", () => {
    const now = Date.parse("2026-01-08T00:00:00Z");
    const week = wholeWeek([{ time: "2026-01-07T23:00:00Z", risk: 30 }, { time: "2026-01-07T12:00:00Z", risk: 50 }], now);
    expect(week.map((p) => [p.time.slice(0, 13), p.risk])).toEqual([["2026-01-01T00", 0], ["2026-01-07T11", 0], ["2026-01-07T12", 50], ["2026-01-07T23", 30]]);
    expect(wholeWeek([{ time: "2026-01-01T00:30:00Z", risk: 9 }], now)).toHaveLength(1);
    expect(wholeWeek([], now).every((p) => p.risk === 0)).toBe(true);
  });
  it("fills the bar without ever overflowing it", () => {
    expect(riskShare(0)).toBe(0);
    expect(riskShare(50)).toBe(0.5);
    expect(riskShare(1e9)).toBeLessThanOrEqual(1);
  });
});
