import { describe, expect, it } from "vitest";
import { mergeAlerts } from "./alerts";
import { bytes, compact, percent, plural } from "./number";
import { fieldAt, leaves, what } from "./ocsf";
import { compareSeverity, isSeverity, severityRank, severityTotal, WORST_FIRST } from "./severity";
import { ago, clock, dateTime, fromLocalInput, rangeSecs, span, toLocalInput } from "./time";
import type { Alert, OcsfEvent } from "./types";

describe("severity", () => {
  it("is ordered by badness, not by letters", () => {
    expect(["high", "critical", "low", "informational", "medium"].toSorted(compareSeverity)).toEqual(["informational", "low", "medium", "high", "critical"]);
    expect(WORST_FIRST[0]).toBe("critical");
    expect(severityRank("critical")).toBeGreaterThan(severityRank("high"));
  });
  it("takes an unknown word for informational", () => {
    expect(severityRank("fatal")).toBe(0);
    expect(isSeverity("fatal")).toBe(false);
  });
  it("sums what is there", () => expect(severityTotal({ low: 3, critical: 1 })).toBe(4));
});

describe("times", () => {
  const time = "2026-07-30T14:03:09.042Z";
  it("are written in UTC on demand", () => {
    expect(clock(time, true, true)).toBe("14:03:09.042");
    expect(clock(time, false, true)).toBe("14:03:09");
    expect(dateTime(time, true)).toBe("2026-07-30 14:03:09Z");
  });
  it("that are none are a dash", () => {
    expect(clock("yesterday")).toBe("–");
    expect(dateTime("")).toBe("–");
    expect(ago("x", 0)).toBe("–");
  });
  it.each([
    [0, "now"],
    [1, "now"],
    [45, "45 s"],
    [90, "2 min"],
    [7200, "2 h"],
    [200_000, "2 d"],
  ])("%d s ago is %s", (secs, want) => expect(ago(new Date(1e12), 1e12 + secs * 1000)).toBe(want));
  it("spans below a second are milliseconds", () => expect(span(0.027)).toBe("27 ms"));
  it.each([
    ["15m", 900],
    ["1h", 3600],
    ["7d", 604_800],
    ["0h", undefined],
    ["1w", undefined],
    ["h", undefined],
    ["-1h", undefined],
    [undefined, undefined],
  ])("range %s is %s seconds", (text, want) => expect(rangeSecs(text)).toBe(want));
  it("go through a local input and back", () => {
    const iso = "2026-07-30T14:03:09.000Z";
    expect(fromLocalInput(toLocalInput(iso))).toBe(iso);
    expect(fromLocalInput("")).toBeUndefined();
    expect(toLocalInput("x")).toBe("");
  });
});

describe("numbers", () => {
  it.each([
    [0, "0"],
    [9999, "9,999"],
    [48_210, "48.2k"],
    [4_812_903, "4.81M"],
    [123_456_789, "123M"],
    [Number.NaN, "–"],
  ])("%d is %s", (n, want) => expect(compact(n)).toBe(want));
  it("have units", () => {
    expect(bytes(2_911_330_112)).toBe("2.9 GB");
    expect(bytes(512)).toBe("512 B");
    expect(percent(1, 0)).toBe("0 %");
    expect(percent(1, 40)).toBe("2.5 %");
    expect(plural(1, "alert")).toBe("1 alert");
    expect(plural(1200, "address", "addresses")).toBe("1,200 addresses");
  });
});

describe("events", () => {
  it("are read by path, without reaching into prototypes", () => {
    expect(fieldAt({ a: { b: [1] } }, "a.b")).toEqual([1]);
    expect(fieldAt({}, "constructor.name")).toBeUndefined();
    expect(fieldAt({ a: "text" }, "a.length")).toBeUndefined();
    expect(fieldAt(null, "a")).toBeUndefined();
  });
  it("are flattened, within a bound", () => {
    expect(leaves({ a: { b: 1 }, c: ["x", "y"] })).toEqual([
      { path: "a.b", value: 1 },
      { path: "c", value: "x" },
      { path: "c", value: "y" },
    ]);
    expect(leaves(Array.from({ length: 10_000 }, (_, i) => i)).length).toBe(2000);
  });
  it("are told in one line", () => {
    const base = { metadata: { uid: "1", log_name: "s" }, class_name: "HTTP Activity" } as OcsfEvent;
    expect(what({ ...base, api: { operation: "StopLogging", service: { name: "cloudtrail" } } })).toBe("StopLogging · cloudtrail");
    expect(what({ ...base, http_request: { http_method: "GET", url: { path: "/a", query_string: "b=1" } } })).toBe("GET /a?b=1");
    expect(what({ ...base, message: "hello" })).toBe("hello");
    expect(what(base)).toBe("");
  });
});

const alert = (id: string, last_seen: string, more: Partial<Alert> = {}) => ({ id, last_seen, finding_count: 1, history: [], state: "open", ...more }) as unknown as Alert;

describe("alerts", () => {
  it("of the socket replace older ones, join the list, newest first, and leave it when they no longer belong", () => {
    const fetched = [alert("a", "2026-01-01T00:00:01Z"), alert("b", "2026-01-01T00:00:02Z"), alert("c", "2026-01-01T00:00:03Z", { finding_count: 9 })];
    const live = [
      { alert: alert("a", "2026-01-01T00:00:09Z", { finding_count: 2 }), created: false },
      { alert: alert("d", "2026-01-01T00:00:05Z"), created: true },
      { alert: alert("b", "2026-01-01T00:00:02Z", { state: "closed", history: [{ state: "closed", actor: "x", time: "" }] }), created: false },
      { alert: alert("c", "2026-01-01T00:00:03Z", { finding_count: 3 }), created: false },
    ];
    const merged = mergeAlerts(fetched, live, (a) => a.state === "open");
    expect(merged.map((a) => a.id)).toEqual(["a", "d", "c"]);
    expect(merged[2]?.finding_count).toBe(9);
  });
});
