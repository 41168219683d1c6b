import { describe, expect, it } from "vitest";
import { alertsSearch, eventsSearch, incidentsSearch, parseSearch, rulesSearch, ruleSearch, safeReturn, stringifySearch } from "./search";

describe("the URL", () => {
  it("holds a search and gives it back", () => {
    const search = { q: "a b&c", columns: "severity,src_endpoint.ip", range: "24h", event: "e1", tail: "1" as const, view: "sql" as const, sql: "SELECT 1", saved: "s1" };
    expect(eventsSearch(parseSearch(stringifySearch(search)))).toEqual({ ...search, from: undefined, to: undefined });
  });
  it("drops what makes no sense", () => {
    expect(eventsSearch({ range: "soon", from: "never", tail: "yes", view: "table" })).toEqual({});
    expect(alertsSearch({ state: "burning", severity_min: "fatal" })).toEqual({ state: undefined, severity_min: undefined, q: undefined, id: undefined, signals: undefined });
    expect(incidentsSearch({ state: "all", range: "7d", from: "x", id: "i" })).toEqual({ state: "all", severity_min: undefined, q: undefined, range: "7d", from: undefined, to: undefined, id: "i" });
    expect(ruleSearch({ view: "edit", range: "7 days" })).toEqual({ view: undefined, range: undefined, from: undefined, to: undefined });
    expect(rulesSearch({ kind: "guess", level: "high" })).toEqual({ q: undefined, technique: undefined, kind: undefined, level: "high" });
  });
  it("returns after a login to this page only", () => {
    expect(safeReturn("/search?q=a")).toBe("/search?q=a");
    for (const bad of ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/login?return=/login", "", undefined, 7]) expect(safeReturn(bad)).toBe("/");
  });
});
