import { describe, expect, it } from "vitest";
import { inBlock } from "./cidr";
import { formatTerm, fromParam, matches, parseFilter, toParam, withTerm, type FieldTerm, type Operator, type Term } from "./filter";

const field = (path: string, value: string, not = false, op: Operator = "="): FieldTerm => ({ kind: "field", path, op, value, not });
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
    ["code>=500 code<=599", [field("http_response.code", "500", false, ">="), field("http_response.code", "599", false, "<=")]],
    ["path~admin", [field("http_request.url.path", "admin", false, "~")]],
    ["ip:cidr=192.0.2.0/24", [field("src_endpoint.ip", "192.0.2.0/24", false, ":cidr=")]],
    ["country:in=DE,FR -user:exists", [field("src_endpoint.location.country", "DE,FR", false, ":in="), field("actor.user.name", "", true, ":exists")]],
    ["user= next", [field("actor.user.name", ""), text("next")]],
    ["a - b", [text("a"), text("b")]],
  ])("reads %j", (input, want) => expect(parseFilter(input)).toEqual(want));

  it("writes what it reads", () => {
    for (const term of [field("a.b", "x y"), field("a", 'q"uo\\te', true), field("a", "x y", true, "~"), field("a", "", true, ":exists"), field("n", "4", false, ">="), text("plain"), text("two words", true), text('"')]) expect(parseFilter(formatTerm(term))).toEqual([term]);
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
    ["code>=400 code<=499", true],
    ["code>=500", false],
    ["severity~IG", true],
    ["severity:in=low,high", true],
    ["severity:in=low,medium", false],
    ["ip:cidr=203.0.113.0/24", true],
    ["ip:cidr=198.51.100.0/24", false],
    ["ip:cidr=2001:db8::/32", false],
    ["user:exists", false],
    ["-user:exists rule:exists", true],
    ["__proto__.toString=x", false],
  ])("%j on an event is %s", (input, want) => expect(matches(event, "get /?q=union select", parseFilter(input))).toBe(want));

  it("goes through the URL and back", () => {
    for (const term of [field("src_endpoint.ip", "::1"), field("a.b", "x=y&z", true), field("m", "two\nlines"), field("m", "", false, ":exists"), field("m", "4", false, "<=")]) expect(fromParam(toParam(term))).toEqual(term);
    expect(fromParam("no operator")).toBeUndefined();
  });
});

describe("address blocks", () => {
  it.each([
    ["192.0.2.77", "192.0.2.0/24", true],
    ["192.0.3.1", "192.0.2.0/24", false],
    ["192.0.2.1", "0.0.0.0/0", true],
    ["192.0.2.1", "192.0.2.1/32", true],
    ["2001:db8::1", "2001:db8::/32", true],
    ["2001:db9::1", "2001:db8::/32", false],
    ["::1", "::1/128", true],
    ["192.0.2.1", "192.0.2.0/33", false],
    ["192.0.2.1", "192.0.2.0", false],
    ["300.0.0.1", "0.0.0.0/0", false],
    ["not an address", "0.0.0.0/0", false],
    ["1::2::3", "::/0", false],
  ])("%s in %s: %s", (address, block, want) => expect(inBlock(address, block)).toBe(want));
});
