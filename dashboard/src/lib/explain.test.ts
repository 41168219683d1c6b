import { describe, expect, it } from "vitest";
import { bySelection, choices, verdict } from "./explain";
import type { Explained, Rule, TraceStep } from "./types";

const step = (selection: string, matched: boolean): TraceStep => ({ selection, field: "f", operator: "equals", expected: ["a"], all: false, actual: [], matched });
const explained = (more: Partial<Explained>): Explained => ({ rule: {} as Rule, matched: false, log_source_matches: true, steps: [], excepted_by: null, ...more });

const rule = (id: string, kind = "sigma") => ({ id, name: `Rule ${id}`, kind, file: "", techniques: [] }) as unknown as Rule;

describe("an explanation", () => {
  it("keeps the selections in the rule's order", () => {
    const steps = [step("b", true), step("a", true), step("b", false)];
    expect(bySelection(steps).map(([name, group]) => [name, group.length])).toEqual([["b", 2], ["a", 1]]);
  });
  it("says why in one sentence", () => {
    expect(verdict(explained({ matched: true }))).toMatch(/fired/);
    expect(verdict(explained({ matched: true, excepted_by: "e1" }))).toMatch(/exception/);
    expect(verdict(explained({ log_source_matches: false, steps: [step("a", true)] }))).toMatch(/log source/);
    expect(verdict(explained({ steps: [step("a", true), step("a", false)] }))).toMatch(/1 of 2/);
    expect(verdict(explained({ steps: [step("a", false)] }))).toMatch(/none/);
  });
  it("offers the rules that matched first, but no threat list, which has no conditions", () => {
    const rules = [rule("b"), rule("a"), rule("c", "intel"), rule("d")];
    expect(choices(rules, ["d"], "").map((r) => r.id)).toEqual(["d", "a", "b"]);
    expect(choices(rules, [], "rule B").map((r) => r.id)).toEqual(["b"]);
  });
});
