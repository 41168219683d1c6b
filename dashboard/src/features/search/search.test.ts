import { describe, expect, it } from "vitest";
import { fitting, resolver, wantedAt } from "@/lib/query/complete";
import type { SavedSearch, SearchColumn } from "@/lib/search-types";
import type { OcsfEvent } from "@/lib/types";
import { exportHref, periodOf, widened } from "./api";
import { cellOf, columnsFrom, columnsText, DEFAULT_COLUMNS, moved, remembered, toggled, widthOf, withRecent } from "./columns";
import { bars, layer, widthText } from "./histogram";
import { DEFAULT_SCHEDULE, differs, scheduleText, windowsFor } from "./schedule";
import { toTsv } from "./sql";
import { grown, newestFirst, TAIL_ROWS_MAX, tailClause } from "./tail";

const column = (path: string, ecs: string[] = [], about = ""): SearchColumn => ({ path, ecs, about, kind: "text", prose: false, bloom: false });
const COLUMNS = [column("time", ["@timestamp"]), column("severity", [], "The worst level"), column("actor.user.name", ["user.name"], "Who did it"), column("src_endpoint.ip", ["source.ip", "client.ip"], "Where it came from")];

describe("what could be written at the cursor", () => {
  it.each([
    ["", { what: "field", from: 0, typed: "", joins: false }],
    ["us", { what: "field", from: 0, typed: "us", joins: false }],
    ["a:1 us", { what: "field", from: 4, typed: "us", joins: true }],
    ["a:1 ", { what: "field", from: 4, typed: "", joins: true }],
    ["a:1 AND ", { what: "field", from: 8, typed: "", joins: false }],
    ["NOT us", { what: "field", from: 4, typed: "us", joins: false }],
    ["(us", { what: "field", from: 1, typed: "us", joins: false }],
    ["user.name:", { what: "value", from: 10, typed: "", field: "user.name" }],
    ["user.name:al", { what: "value", from: 10, typed: "al", field: "user.name" }],
    ['user.name:"al ic', { what: "value", from: 10, typed: "al ic", field: "user.name" }],
    ['"some text', undefined],
    ['a:"b"', undefined],
    ["a:[1 TO", undefined],
  ])("%j", (text, want) => expect(wantedAt(text, text.length)).toEqual(want));
  it("finds columns by any of their names, the best fit first", () => {
    expect(fitting(COLUMNS, "user").map((c) => c.path)).toEqual(["actor.user.name"]);
    expect(fitting(COLUMNS, "source.").map((c) => c.path)).toEqual(["src_endpoint.ip"]);
    expect(fitting(COLUMNS, "s").map((c) => c.path)[0]).toBe("severity");
    expect(fitting(COLUMNS, "worst").map((c) => c.path)).toEqual(["severity"]);
    expect(fitting(COLUMNS, "").length).toBe(4);
    expect(fitting(COLUMNS, "nothing")).toEqual([]);
    expect(resolver(COLUMNS)("client.ip")).toBe("src_endpoint.ip");
  });
});

describe("the period", () => {
  const now = Date.parse("2026-07-30T12:00:00Z");
  it("is the last hour unless something is named", () => {
    expect(periodOf({}, now)).toEqual({ from: "2026-07-30T11:00:00.000Z", to: "2026-07-30T12:00:00.000Z" });
    expect(periodOf({ range: "15m" }, now).from).toBe("2026-07-30T11:45:00.000Z");
    expect(periodOf({ from: "2026-07-01T00:00:00.000Z", range: "15m" }, now)).toEqual({ from: "2026-07-01T00:00:00.000Z", to: "2026-07-30T12:00:00.000Z" });
    expect(periodOf({ to: "2026-07-01T01:00:00.000Z" }, now).from).toBe("2026-07-01T00:00:00.000Z");
  });
  it("grows, but not into the future", () => {
    expect(widened({ from: "2026-07-30T11:00:00.000Z", to: "2026-07-30T12:00:00.000Z" }, now)).toEqual({ from: "2026-07-30T10:30:00.000Z", to: "2026-07-30T12:00:00.000Z" });
    expect(widened({ from: "2026-07-30T08:00:00.000Z", to: "2026-07-30T09:00:00.000Z" }, now)).toEqual({ from: "2026-07-30T07:30:00.000Z", to: "2026-07-30T09:30:00.000Z" });
  });
});

describe("bars", () => {
  const buckets = [{ start: "2026-07-30T12:01:00Z", counts: { low: 2, high: 1 } }];
  it("stand for every step", () => {
    const got = bars(buckets, 60, "2026-07-30T12:00:10Z", "2026-07-30T12:03:00Z");
    expect(got.starts.length).toBe(3);
    expect(layer(got, "low")).toEqual([0, 2, 0]);
    expect(layer(got, "critical")).toEqual([0, 0, 0]);
  });
  it("are bounded", () => expect(bars([], 1, "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z").starts.length).toBe(2000));
  it.each([[1, "1 second"], [30, "30 seconds"], [60, "1 minute"], [90, "90 seconds"], [3600, "1 hour"], [10_800, "3 hours"], [86_400, "1 day"]])("%d s are %s", (secs, want) => expect(widthText(secs)).toBe(want));
});

describe("columns", () => {
  it("come out of a link, whatever it holds", () => {
    expect(columnsFrom("severity, src_endpoint.ip,severity,time")).toEqual(["severity", "src_endpoint.ip"]);
    expect(columnsFrom(undefined)).toBeUndefined();
    expect(columnsFrom("<script>,,")).toBeUndefined();
    expect(columnsFrom(Array.from({ length: 99 }, (_, i) => `c${i}`).join())?.length).toBe(30);
    expect(columnsFrom(columnsText(DEFAULT_COLUMNS))).toEqual([...DEFAULT_COLUMNS]);
  });
  it("come, go and move", () => {
    expect(toggled(["a", "b"], "b")).toEqual(["a"]);
    expect(toggled(["a"], "b")).toEqual(["a", "b"]);
    expect(moved(["a", "b", "c"], "a", 1)).toEqual(["b", "a", "c"]);
    expect(moved(["a", "b", "c"], "a", -1)).toEqual(["a", "b", "c"]);
    expect(moved(["a"], "x", 1)).toEqual(["a"]);
  });
  it("are remembered, and nonsense is not", () => {
    expect(remembered(null).columns).toEqual([...DEFAULT_COLUMNS]);
    expect(remembered("{").columns).toEqual([...DEFAULT_COLUMNS]);
    expect(remembered('{"columns":["a",7],"widths":{"a":1,"b":"wide","c":99999,"<":3},"recent":"x"}')).toMatchObject({ columns: ["a"], widths: { a: 56, c: 1600 }, recent: [] });
    expect(widthOf("a", { a: 200 })).toBe(200);
    expect(widthOf("constructor", {})).toBe(150);
  });
  it("show lists, and the next best where they are empty", () => {
    const event = { metadata: { uid: "1", log_name: "s" }, actor: { user: { uid: "u-1" } }, finding_info: { rules: ["a", "b"] }, http_response: { code: 200 } } as unknown as OcsfEvent;
    expect(cellOf(event, "actor.user.name")).toEqual({ path: "actor.user.uid", values: ["u-1"] });
    expect(cellOf(event, "finding_info.rules").values).toEqual(["a", "b"]);
    expect(cellOf(event, "http_response.code").values).toEqual(["200"]);
    expect(cellOf(event, "constructor").values).toEqual([]);
    expect(cellOf({ ...event, api: { operation: "StopLogging" } }, "message")).toEqual({ path: undefined, values: ["StopLogging"] });
    expect(cellOf({ ...event, message: "hi" }, "message")).toEqual({ path: "message", values: ["hi"] });
  });
  it("and recent queries are kept once each", () => {
    expect(withRecent(["a", "b"], "b")).toEqual(["b", "a"]);
    expect(withRecent(["a"], " ")).toEqual(["a"]);
    expect(withRecent(Array.from({ length: 40 }, (_, i) => String(i)), "x").length).toBe(30);
  });
});

describe("a schedule", () => {
  const schedule = { ...DEFAULT_SCHEDULE, every_secs: 300, window_secs: 3600, at_least: 3, severity: "high" as const, group_by: "src_endpoint.ip" };
  it("is told in words", () => {
    expect(scheduleText(schedule)).toBe("Every 5 minutes over the last hour: 3 events or more of one src_endpoint.ip raise a high finding.");
    expect(scheduleText(DEFAULT_SCHEDULE)).toBe("Every 15 minutes over the last 15 minutes: 1 event or more raise a medium finding.");
  });
  it("looks back at least as far as its last run, and not so far that it never ends", () => {
    expect(windowsFor(3600, 3600)).toEqual([3600, 21_600, 86_400, 604_800]);
    expect(windowsFor(60, 86_400)).toEqual([60, 300, 900, 3600, 21_600, 86_400]);
    expect(windowsFor(300, 420)).toContain(420);
  });
  it("knows whether the page shows something else than what was saved", () => {
    const saved = { q: "a", columns: ["x"], range: "1h" } as SavedSearch;
    expect(differs(saved, { q: "a", columns: ["x"], range: "1h" })).toBe(false);
    expect(differs(saved, { q: "a", columns: ["x", "y"], range: "1h" })).toBe(true);
    expect(differs(saved, { q: "b", columns: ["x"], range: "1h" })).toBe(true);
    expect(differs(saved, { q: "a", columns: ["x"], range: null })).toBe(true);
  });
});

describe("rows of SQL", () => {
  it("go to the clipboard without running there", () =>
    expect(toTsv({ columns: [{ name: "=x", type: "Utf8" }, { name: "n", type: "Int64" }], rows: [["=1+1", -5], ["a\tb\nc", null], [{ a: 1 } as object, 1.5]], truncated: false, took_ms: 1 })).toBe("'=x\tn\n'=1+1\t-5\na b c\t\n{\"a\":1}\t1.5"));
});

describe("an export", () => {
  it("asks for what is on the page", () => expect(exportHref({ q: 'a:"b c"', from: "f", to: "t" }, "csv", ["time", "x"])).toBe("/api/v1/export?q=a%3A%22b+c%22&from=f&to=t&format=csv&columns=time%2Cx"));
});

const event = (uid: string, time: string) => ({ time, metadata: { uid, log_name: "s", logged_time: time } }) as unknown as OcsfEvent;

describe("the tail", () => {
  it("counts what came and what passed by", () => {
    const one = grown({ events: [], added: 0, skipped: 0, error: new Error("x") }, { items: [event("a", "1")], next_cursor: null, total: { value: 1, exact: true } });
    expect(one).toMatchObject({ added: 1, skipped: 0, error: null });
    expect(grown(one, { items: [event("b", "2"), event("a", "1")], next_cursor: "c", total: { value: 9, exact: true } })).toMatchObject({ added: 2, skipped: 7 });
  });
  it("asks for what was received since", () => {
    expect(tailClause("a OR b", "2026-07-30T12:00:00.000Z")).toBe('(a OR b) AND metadata.logged_time:>="2026-07-30T12:00:00.000Z"');
    expect(tailClause("", "x")).toBe('metadata.logged_time:>="x"');
  });
  it("shows each event once, newest first, and never more than its bound", () => {
    const old = [event("b", "2026-01-01T00:00:02Z"), event("a", "2026-01-01T00:00:01Z")];
    expect(newestFirst(old, [event("c", "2026-01-01T00:00:03Z"), event("b", "2026-01-01T00:00:02Z")]).map((e) => e.metadata.uid)).toEqual(["c", "b", "a"]);
    expect(newestFirst([], Array.from({ length: 5000 }, (_, i) => event(String(i), "2026-01-01T00:00:00Z"))).length).toBe(TAIL_ROWS_MAX);
  });
});
