import { describe, expect, it } from "vitest";
import { both, clause, clausesOf, quoted, withClause, withoutClause } from "./edit";
import { haystackOf, matches } from "./evaluate";
import { lex } from "./lex";
import { parse } from "./parse";

describe("tokens", () => {
  it.each([
    ["", ""],
    ["user.name:alice", "field colon word"],
    ["a:1 AND NOT b:2", "field colon word and not field colon word"],
    ["-a:1 !b:2 +c", "not field colon word not field colon word and word"],
    ['"access denied" x', "string word"],
    ["code:>=500", "field colon compare word"],
    ["time:[2026-01-01T00:00:00Z TO *}", "field colon range"],
    ["path:/adm.n/", "field colon regex"],
    ["a:(x OR y)", "field colon open word or word close"],
    ["ip:2001:db8::1", "field colon word"],
    ["a - b", "word word word"],
    ["AND:x", "field colon word"],
    ["x:AND", "field colon word"],
    ["a\\ b", "word"],
    ["/etc/passwd", "word"],
    ["path:/etc/passwd", "field colon word"],
    ["path:/etc/ x", "field colon regex word"],
    ["path:~LICE", "field colon compare word"],
    ["user.name: alice", "field colon word"],
    ["! a", "not word"],
    ["[1 TO 2]", "word word word"],
  ])("of %j are %s", (text, want) => expect(lex(text).map((t) => t.kind).join(" ")).toBe(want));
  it("cover what they name, whatever comes", () => {
    for (const text of ['a:"x', "[1 TO", "/re", "a:", ":", "))((", "\\", 'a:"\\', "é:ü ☃"]) for (const token of lex(text)) expect(text.slice(token.from, token.to)).toBe(token.text);
    expect(lex('a:"x').at(-1)?.unclosed).toBe(true);
  });
  it("are bounded", () => expect(lex("a ".repeat(20_000)).length).toBeLessThanOrEqual(8192));
});

describe("a value in a query", () => {
  it.each([
    ["alice", "alice"],
    ["203.0.113.7", "203.0.113.7"],
    ["ci-deployer", "ci-deployer"],
    ["Ålesund", "Ålesund"],
    ["two words", '"two words"'],
    ["AND", '"AND"'],
    ["or", '"or"'],
    ["TO", '"TO"'],
    ["", '""'],
    ["-5", '"-5"'],
    ["2001:db8::1", '"2001:db8::1"'],
    ["arn:aws:iam::1:user/x", '"arn:aws:iam::1:user/x"'],
    ['say "hi"', '"say \\"hi\\""'],
    ["C:\\Windows", '"C:\\\\Windows"'],
    ["a*b?", '"a*b?"'],
    ["/etc/passwd", '"/etc/passwd"'],
    ["10.0.0.0/8", '"10.0.0.0/8"'],
    ["one\ntwo (x)", "one?two\\ \\(x\\)"],
    ["tab\there\\", "tab?here\\\\"],
  ])("%j is written %s", (value, want) => expect(quoted(value)).toBe(want));

  it("means itself again when it is read", () => {
    for (const value of ["plain", "two words", 'q"uo\\te', "a*b?c", "(x OR y)", "NOT", "[1 TO 2]", "/re/", "a:b", "\\", '"', "-x", "ü ☃", "it's", "<script>", "a\\\\b", "50%", "{}", "&&", "~^"]) {
      const expr = parse(clause("f", value));
      expect(expr, value).toMatchObject({ kind: "test", field: "f", test: { kind: "equals", text: value } });
      const event = { event: { f: value }, haystack: " ", column: (name: string) => name };
      expect(matches(expr, event), value).toBe(true);
      expect(matches(parse(clause("f", value, true)), event), value).toBe(false);
    }
    expect(clause("message", "one\ntwo")).toBe('message:"one two"');
    for (const value of ["one\ntwo", "a\tb*", "x\r\ny:(z)", "\n\\"]) expect(matches(parse(clause("f", value)), { event: { f: value }, haystack: " ", column: (name) => name }), JSON.stringify(value)).toBe(true);
  });
});

describe("conditions", () => {
  it.each([
    ["", []],
    ["a:1", ["a:1"]],
    ["a:1 AND b:2", ["a:1", "b:2"]],
    ['a:1 NOT b:2 "x y"', ["a:1", "NOT b:2", '"x y"']],
    ["a:1 OR b:2", ["a:1 OR b:2"]],
    ["(a:1 OR b:2) AND c:3", ["(a:1 OR b:2)", "c:3"]],
    ["(a:1) AND (b:2)", ["(a:1)", "(b:2)"]],
    ["(a:1 AND b:2)", ["(a:1 AND b:2)"]],
    ["a:(x OR y) -b:2", ["a:(x OR y)", "-b:2"]],
    ["a:>=5 b:[1 TO 2}", ["a:>=5", "b:[1 TO 2}"]],
  ])("of %j", (text, want) => expect(clausesOf(text).map((c) => c.text)).toEqual(want));

  it.each([
    ["", "a", "1", false, "a:1"],
    ["x", "a", "1", false, "x AND a:1"],
    ["x", "a", "1", true, "x AND NOT a:1"],
    ["a:1 x", "a", "1", true, "x AND NOT a:1"],
    ['NOT a:"two words"', "a", "two words", false, 'a:"two words"'],
    ["-a:1 b:2", "a", "1", true, "b:2 AND NOT a:1"],
    ["a:1 OR b:2", "c", "3", false, "(a:1 OR b:2) AND c:3"],
    ["a:1", "a", "2", false, "a:1 AND a:2"],
  ])("%j with %s %s %s is %j", (text, field, value, not, want) => expect(withClause(text, field, value, not)).toBe(want));

  it("are taken out", () => {
    expect(withoutClause("a:1 AND b:2 c:3", 1)).toBe("a:1 AND c:3");
    expect(withoutClause("a:1", 0)).toBe("");
    expect(withoutClause("(a:1 OR b:2) c", 1)).toBe("(a:1 OR b:2)");
  });
  it("are joined", () => {
    expect(both("a:1 OR b:2", "c")).toBe("(a:1 OR b:2) AND c");
    expect(both("", "c")).toBe("c");
    expect(both("a", " ")).toBe("a");
  });
});

describe("an event of the live list", () => {
  const event = { src_endpoint: { ip: "203.0.113.7" }, severity: "high", http_response: { code: 404 }, finding_info: { rules: ["r1", "r2"] }, message: "Order placed", time: "2026-07-30T14:03:09Z" };
  const searched = { event, haystack: haystackOf("GET /?q=UNION select user_name"), column: (name: string) => (name === "source.ip" ? "src_endpoint.ip" : name) };
  it.each([
    ["", true],
    ["src_endpoint.ip:203.0.113.7", true],
    ["source.ip:203.0.113.7", true],
    ["source.ip:203.0.113.0/24", true],
    ["source.ip:10.0.0.0/8", false],
    ["source.ip:203.0.113.70", false],
    ["severity:high", true],
    ["severity:HIGH", true],
    ["severity:>=medium", true],
    ["severity:[low TO medium]", false],
    ["severity:~IG", true],
    ["message:~ord", true],
    ["192.168.*", false],
    ["union.*", true],
    ["un*.select", false],
    ["severity:h*", true],
    ["severity:/h.gh/", true],
    ["severity:/h/", false],
    ["severity:(low OR high)", true],
    ["severity:(low OR medium)", false],
    ["http_response.code:404", true],
    ["http_response.code:>=400 http_response.code:<500", true],
    ["http_response.code:[400 TO 499]", true],
    ["http_response.code:{404 TO *}", false],
    ["http_response.code:>=500", false],
    ["finding_info.rules:r2", true],
    ["NOT finding_info.rules:r3", true],
    ["actor.user.name:mira", false],
    ["NOT actor.user.name:mira", true],
    ["actor.user.name:*", false],
    ["_exists_:severity", true],
    ["union AND select", true],
    ["UNION -benign", true],
    ['"union select"', true],
    ['"select union"', false],
    ["user", false],
    ["user*", true],
    ["user_name", true],
    ["message:placed", true],
    ["message:place", false],
    ["benign OR (union select)", true],
    ["time:>=2026-07-30", true],
    ["time:>=2026-07-31", false],
    ["constructor:x", false],
    ["__proto__.toString:x", false],
    ["severity:/(/", false],
    ["((((", true],
  ])("passes %j: %s", (text, want) => expect(matches(parse(text), searched)).toBe(want));
});
