import { describe, expect, it } from "vitest";
import type { Rule } from "@/lib/types";
import { attackUrl, change, correlationFacts, duration, fileName, isMatch } from "./match";

const rule = { id: "r1", name: "SSH brute force", description: "", kind: "correlation", level: "high", file: "auth/ssh.yml", techniques: ["T1110.003"], tactics: ["credential-access"], handling: { signal: true, dedup_secs: 60, alerts_per_hour: 9 } } as unknown as Rule;

describe("rules", () => {
  it("are found by all words, kind, level and technique", () => {
    expect(isMatch(rule, { q: "brute t1110" })).toBe(true);
    expect(isMatch(rule, { q: "signal" })).toBe(true);
    expect(isMatch(rule, { q: "brute web" })).toBe(false);
    expect(isMatch(rule, { kind: "sigma" })).toBe(false);
    expect(isMatch(rule, { level: "high", kind: "correlation", technique: "T1110.003" })).toBe(true);
  });
  it("link to their techniques", () => expect(attackUrl("T1110.003")).toBe("https://attack.mitre.org/techniques/T1110/003/"));
  it.each([
    [300, "5 minutes"],
    [3600, "1 hour"],
    [90, "90 seconds"],
    [172_800, "2 days"],
  ])("of %d s say %s", (secs, want) => expect(duration(secs)).toBe(want));
  it("that correlate tell how, whatever the server names", () => {
    expect(correlationFacts({ type: "event_count", rules: ["a"], group_by: ["ip", "user"], timespan_secs: 300, condition: { gte: 5 }, field: null, ordered: false })).toEqual([
      ["Type", "event_count"],
      ["Group by", "ip, user"],
      ["Timespan", "5 minutes"],
      ["Condition", "gte 5"],
      ["Ordered", "false"],
    ]);
  });
  it.each([
    ["name: aws_stop\ntitle: X", "aws_stop.yml"],
    ["title: 'Stop, ../../etc'\n", "stop_etc.yml"],
    ["", "my_rule.yml"],
    ["title: '***'", "rule.yml"],
  ])("are downloaded under a harmless name: %j", (text, want) => expect(fileName(text, "my rule")).toBe(want));
  it("are compared with what they were", () => {
    expect(change(12, 340)).toBe("−96 % against 340");
    expect(change(15, 10)).toBe("+50 % against 10");
    expect(change(3, 0)).toBe("3 more");
    expect(change(3, 3)).toBe("as many as now");
  });
});
