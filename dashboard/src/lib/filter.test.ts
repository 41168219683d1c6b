import { describe, expect, it } from "vitest";
import { formatTerm, fromParam, matches, parseFilter, toParam, withTerm, type Term } from "./filter";

const field = (path: string, value: string, not = false): Term => ({ kind: "field", path, value, not });
const text = (value: string, not = false): Term => ({ kind: "text", value, not });

describe("the filter language", () => {
  it.each<[string, Term[]]>([
    ["", []],
    ["   ", []],
    ["sqlmap", [text("sqlmap")]],
    ["-sqlmap", [text("sqlmap", true)]],
    ["ip=203.0.113.7", [field("src_endpoint.ip", "203.0.113.7")]],
    ["ip!=203.0.113.7", [field("src_endpoint.ip", "203.0.113.7", true)]],
    ["-ip=203.0.113.7", [field("src_endpoint.ip", "203.0.113.7", true)]],
    ['who="two words" rest', [field("who", "two words"), text("rest")]],
    ['"two words"', [text("two words")]],
    ['a="say \\"hi\\""', [field("a", 'say "hi"')]],
    ["path=/a?b=c", [field("http_request.url.path", "/a?b=c")]],
    ["url.path=/x host=h", [field("http_request.url.path", "/x"), field("device.hostname", "h")]],
    ['user=""', [field("actor.user.name", "")]],
    ["/a=b", [text("/a=b")]],
    ["constructor=x", [field("constructor", "x")]],
  ])("reads %j", (input, want) => expect(parseFilter(input)).toEqual(want));

  it("writes what it reads", () => {
    for (const term of [field("a.b", "x y"), field("a", 'q"uo\\te', true), text("plain"), text("two words", true), text('"')]) expect(parseFilter(formatTerm(term))).toEqual([term]);
  });

  it("is bounded", () => expect(parseFilter("a ".repeat(5000)).length).toBeLessThanOrEqual(32));

  it("replaces the contrary when a pivot is added", () => {
    expect(withTerm("ip=1.2.3.4 word", field("src_endpoint.ip", "1.2.3.4", true))).toBe("word src_endpoint.ip!=1.2.3.4");
    expect(withTerm("ip=1.2.3.4", field("src_endpoint.ip", "1.2.3.4"))).toBe("src_endpoint.ip=1.2.3.4");
  });

  const event = { src_endpoint: { ip: "203.0.113.7" }, severity: "high", http_response: { code: 404 }, finding_info: { rules: ["r1", "r2"] } };
  it.each([
    ["ip=203.0.113.7", true],
    ["ip=203.0.113.70", false],
    ["severity=HIGH", true],
    ["code=404", true],
    ["rule=r2", true],
    ["rule=r3", false],
    ["rule!=r3", true],
    ["user=mira", false],
    ["user!=mira", true],
    ["union -benign", true],
    ["union -select", false],
    ["UNION code=404 severity!=low", true],
    ["constructor=x", false],
    ["__proto__.toString=x", false],
  ])("%j on an event is %s", (input, want) => expect(matches(event, "get /?q=union select", parseFilter(input))).toBe(want));

  it("goes through the URL and back", () => {
    for (const term of [field("src_endpoint.ip", "::1"), field("a.b", "x=y&z", true), field("m", "two\nlines")]) expect(fromParam(toParam(term as Extract<Term, { kind: "field" }>))).toEqual(term);
    expect(fromParam("no operator")).toBeUndefined();
  });
});
