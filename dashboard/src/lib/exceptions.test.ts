import { describe, expect, it } from "vitest";
import { candidatesOf, isExpired, literal, phrases, whereOf, type Candidate } from "./exceptions";
import type { Condition } from "./types";

const condition = (field: string, actual: string, operator = "equals"): Condition => ({ selection: "s", field, operator, expected: "", actual });
const alert = { entity: { kind: "user", value: "alice" }, user: "alice", source_ip: "203.0.113.7" };

describe("what an exception is made from", () => {
  it("is the entity, ticked, then who, where from and what was found, each once", () => {
    const explanation = { summary: "", conditions: [condition("eventName", "StopLogging"), condition("actor.user.name", "alice"), condition("keyword", "text"), condition("count", "9", "gte"), condition("status", "")] };
    expect(candidatesOf(alert, { explanation })).toEqual([
      { field: "actor.user.name", modifier: "", value: "alice", on: true },
      { field: "src_endpoint.ip", modifier: "", value: "203.0.113.7", on: false },
      { field: "eventName", modifier: "", value: "StopLogging", on: false },
    ]);
  });
  it("asks for the beginning only of a value that was cut", () => {
    const [, , long] = candidatesOf(alert, { explanation: { summary: "", conditions: [condition("path", "a".repeat(256))] } });
    expect(long).toMatchObject({ field: "path", modifier: "startswith" });
  });
  it("is nothing for an entity that no field names", () => expect(candidatesOf({ entity: { kind: "group", value: "a, b" } }, undefined)).toEqual([]));
  it.each([
    ["plain", "plain"],
    ["/a?b=*", String.raw`/a\?b=\*`],
    [String.raw`C:\Windows\x`, String.raw`C:\Windows\x`],
    [String.raw`\\server`, String.raw`\\\server`],
    [String.raw`a\*`, String.raw`a\\\*`],
  ])("takes %s literally", (text, want) => expect(literal(text)).toBe(want));
});

const line = (field: string, value: string, more: Partial<Candidate> = {}): Candidate => ({ field, modifier: "", value, on: true, ...more });

describe("the conditions", () => {
  it("are those that are ticked and whole, with several values of one field as a list", () => {
    expect(whereOf([line("a", "1"), line(" a ", "2"), line("b", "x", { modifier: "contains" }), line("c", "no", { on: false }), line("", "x"), line("d", "")])).toEqual({ a: ["1", "2"], "b|contains": "x" });
    expect(whereOf([])).toEqual({});
  });
  it("are read aloud", () => {
    expect(phrases({ a: ["1", 2], "b|startswith": "x", "c|contains|all": ["y"] })).toEqual([
      ["a", "is", ["1", "2"]],
      ["b", "starts with", ["x"]],
      ["c", "contains all", ["y"]],
    ]);
  });
  it("end", () => {
    const now = Date.parse("2026-01-02T00:00:00Z");
    expect(isExpired({ expires_at: "2026-01-01T00:00:00Z" }, now)).toBe(true);
    expect(isExpired({ expires_at: "2026-01-03T00:00:00Z" }, now)).toBe(false);
    expect(isExpired({ expires_at: null }, now)).toBe(false);
  });
});
