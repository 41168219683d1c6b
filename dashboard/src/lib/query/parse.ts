// What a query says, as far as the page needs it: which conditions all must hold (so that one can be taken out or
// turned round), and whether an event that the live list holds passes. The server's parser is the authority.
import { lex, type Token } from "./lex";

export type Test =
  | { kind: "equals"; text: string }
  /** `*` and `?` stand for any characters; a backslash takes the next one as it is. */
  | { kind: "wildcard"; pattern: string }
  | { kind: "regex"; source: string }
  | { kind: "range"; low: Bound; high: Bound }
  /** Part of the value, in any case of letters. */
  | { kind: "contains"; text: string }
  | { kind: "exists" };
export type Bound = { value: string; including: boolean } | null;

interface At {
  from: number;
  to: number;
}
export type Expr = At & ({ kind: "and" | "or"; of: Expr[] } | { kind: "not"; of: Expr } | { kind: "test"; field: string | null; test: Test });

const DEPTH_MAX = 64;

/** Takes backslashes away: `a\ b` is `a b`. */
export const unescape = (text: string): string => text.replace(/\\(.)/gs, "$1");

const inner = (token: Token): string => token.text.slice(1, token.unclosed ? undefined : -1);

function bound(text: string, including: boolean): Bound {
  const value = text.trim().replace(/^"(.*)"$/s, "$1");
  return value === "" || value === "*" ? null : { value: unescape(value), including };
}

function rangeOf(token: Token): Test {
  const [low = "", high = ""] = inner(token).split(/\s+TO\s+/i);
  return { kind: "range", low: bound(low, token.text.startsWith("[")), high: bound(high, !token.text.endsWith("}")) };
}

function comparison(operator: string, text: string): Test {
  if (operator === "~") return { kind: "contains", text: unescape(text.replace(/^"(.*)"$/s, "$1")) };
  const limit = { value: unescape(text.replace(/^"(.*)"$/s, "$1")), including: operator.endsWith("=") };
  return operator.startsWith(">") ? { kind: "range", low: limit, high: null } : { kind: "range", low: null, high: limit };
}

/** A `*` or `?` that no backslash disarms. */
const isWild = (text: string): boolean => /^(?:[^\\*?]|\\.)*[*?]/s.test(text);

function wordTest(text: string, field: string | null): Test {
  if (text === "*" && field !== null) return { kind: "exists" };
  return isWild(text) ? { kind: "wildcard", pattern: text } : { kind: "equals", text: unescape(text) };
}

class Parser {
  private at = 0;
  constructor(private readonly tokens: readonly Token[]) {}

  private peek(): Token | undefined {
    return this.tokens[this.at];
  }
  private is(kind: Token["kind"]): boolean {
    return this.peek()?.kind === kind;
  }

  /** Everything up to the end or to a closing bracket that belongs to somebody else. */
  alternatives(field: string | null, depth: number): Expr | null {
    const parts: Expr[] = [];
    for (;;) {
      const part = this.conditions(field, depth);
      if (part) parts.push(part);
      if (!this.is("or")) break;
      this.at++;
    }
    return joined("or", parts);
  }

  private conditions(field: string | null, depth: number): Expr | null {
    const parts: Expr[] = [];
    for (;;) {
      const token = this.peek();
      if (!token || token.kind === "or" || (token.kind === "close" && depth > 0)) break;
      if (token.kind === "and" || token.kind === "close") {
        this.at++;
        continue;
      }
      const part = this.condition(field, depth);
      if (part) parts.push(part);
    }
    return joined("and", parts);
  }

  private condition(field: string | null, depth: number): Expr | null {
    const token = this.peek();
    if (!token) return null;
    this.at++;
    switch (token.kind) {
      case "not": {
        const of = this.condition(field, depth);
        return of && { kind: "not", of, from: token.from, to: of.to };
      }
      case "open": {
        const of = depth < DEPTH_MAX ? this.alternatives(field, depth + 1) : null;
        const close = this.is("close") ? this.tokens[this.at++] : undefined;
        return of && { ...of, from: token.from, to: close?.to ?? of.to };
      }
      case "field":
        return this.fieldCondition(token, depth);
      case "colon":
      case "compare":
        return null;
      default:
        return { kind: "test", field, test: testOf(token, field), from: token.from, to: token.to };
    }
  }

  private fieldCondition(name: Token, depth: number): Expr | null {
    if (this.is("colon")) this.at++;
    const token = this.peek();
    if (!token || token.kind === "and" || token.kind === "or" || token.kind === "not" || token.kind === "close") return null;
    if (name.text === "_exists_" && token.kind === "word") {
      this.at++;
      return { kind: "test", field: token.text, test: { kind: "exists" }, from: name.from, to: token.to };
    }
    if (token.kind === "compare") {
      this.at++;
      const value = this.peek();
      if (!value || (value.kind !== "word" && value.kind !== "string")) return null;
      this.at++;
      return { kind: "test", field: name.text, test: comparison(token.text, value.text), from: name.from, to: value.to };
    }
    const of = this.condition(name.text, depth);
    return of && { ...of, from: name.from };
  }
}

function testOf(token: Token, field: string | null): Test {
  if (token.kind === "string") return { kind: "equals", text: unescape(inner(token)) };
  if (token.kind === "regex") return { kind: "regex", source: inner(token) };
  if (token.kind === "range") return rangeOf(token);
  return wordTest(token.text, field);
}

function joined(kind: "and" | "or", of: Expr[]): Expr | null {
  const [first] = of;
  if (!first) return null;
  return of.length === 1 ? first : { kind, of, from: first.from, to: of.at(-1)!.to };
}

/** null: no condition, everything passes. */
export const parse = (text: string): Expr | null => new Parser(lex(text)).alternatives(null, 0);
