import type { OcsfEvent } from "@/lib/types";
import { expect, test } from "vitest";
import { routeOf, verdictOf, withExclusion, type Verdict } from "./api";

const line = { verdict: "attack", request: { method: "GET", uri: "/orders/17/items?q=1" }, findings: [], agent: { id: "a", name: "a", application: "shop" } } as unknown as Verdict;
const event = (raw: unknown) => ({ raw_data: raw }) as unknown as OcsfEvent;

test("a verdict is read from the line, and what is none is null", () => {
  expect(verdictOf(event(JSON.stringify(line)))?.request.method).toBe("GET");
  for (const bad of ["", "{", "[]", "{}", JSON.stringify({ ...line, findings: "x" }), undefined]) expect(verdictOf(event(bad))).toBeNull();
});

test("a route stands for all its numbers and ids", () => {
  expect(routeOf(line)).toBe("/orders/*/items");
  expect(routeOf({ ...line, request: { uri: "https://shop.example/a/0f8fad5b-d9cb-469f-a165-70867728950e#x" } })).toBe("/a/*");
  expect(routeOf({ ...line, request: { uri: "/x/1", route: "/x/{id}" } })).toBe("/x/*");
  expect(routeOf({ ...line, request: {} })).toBe("/");
});

test("an exclusion is added once", () => {
  const once = withExclusion({ mode: "monitor" }, { route: "/x", class: "sqli" });
  expect(once).toEqual({ mode: "monitor", exclusions: [{ route: "/x", class: "sqli" }] });
  expect(withExclusion(once, { route: "/x", class: "sqli" })).toBe(once);
  expect(withExclusion(once, { route: "/y", class: "sqli" }).exclusions).toHaveLength(2);
});
