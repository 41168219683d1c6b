// The query language cut into tokens, for colours, completion and editing. Nothing here refuses a text: what the
// server would not accept is a token all the same, and the server says what is wrong with it.

export type TokenKind = "field" | "colon" | "word" | "string" | "regex" | "range" | "compare" | "and" | "or" | "not" | "open" | "close";

export interface Token {
  kind: TokenKind;
  /** Position of the first character, and of the one behind the last. */
  from: number;
  to: number;
  text: string;
  /** A quote, bracket or slash without its end. */
  unclosed?: true;
}

export const QUERY_CHARS_MAX = 16_384;

const KEYWORDS: Record<string, TokenKind> = { AND: "and", OR: "or", NOT: "not", "&&": "and", "||": "or" };
const FIELD = /^[A-Za-z_@][\w.@-]*$/;
const SPACE = /\s/;

/** The position behind the quote, slash or bracket that ends what begins at `from`, or -1. */
function endOf(text: string, from: number, closers: string): number {
  for (let i = from + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (closers.includes(text[i]!)) return i + 1;
  }
  return -1;
}

/** The position behind the slash that ends a regular expression, or -1: `/etc/passwd` has none. */
function regexEnd(text: string, from: number): number {
  const end = endOf(text, from, "/");
  const next = text[end];
  return end > from + 2 && (next === undefined || SPACE.test(next) || '()"'.includes(next)) ? end : -1;
}

/** The position behind a run of characters that no space, bracket or quote ends. Within a value a colon is an ordinary character. */
function wordEnd(text: string, from: number, inValue: boolean): number {
  let i = from;
  for (; i < text.length; i++) {
    const char = text[i]!;
    if (char === "\\") i++;
    else if (SPACE.test(char) || '()"'.includes(char) || (char === ":" && !inValue)) break;
  }
  return Math.min(i, text.length);
}

/** A sign stands right before what it is for; only `!` may have space behind it. */
const isSign = (text: string, at: number): boolean => text[at] === "!" || ((text[at] === "-" || text[at] === "+") && at + 1 < text.length && !SPACE.test(text[at + 1]!));

export function lex(whole: string): Token[] {
  const text = whole.slice(0, QUERY_CHARS_MAX);
  const tokens: Token[] = [];
  let at = 0;
  const push = (kind: TokenKind, to: number, unclosed = false) => {
    tokens.push({ kind, from: at, to, text: text.slice(at, to), ...(unclosed ? { unclosed: true } : {}) });
    at = to;
  };
  const enclosed = (kind: TokenKind, closers: string) => {
    const end = endOf(text, at, closers);
    push(kind, end < 0 ? text.length : end, end < 0);
  };
  while (at < text.length) {
    const char = text[at]!;
    const before = tokens.at(-1);
    const inValue = before?.kind === "colon" || before?.kind === "compare";
    const behindColon = before?.kind === "colon";
    if (SPACE.test(char)) at++;
    else if (char === "(") push("open", at + 1);
    else if (char === ")") push("close", at + 1);
    else if (char === '"') enclosed("string", '"');
    else if (char === "/" && behindColon && regexEnd(text, at) > 0) push("regex", regexEnd(text, at));
    else if ((char === "[" || char === "{") && behindColon) enclosed("range", "]}");
    else if (char === "~" && behindColon) push("compare", at + 1);
    else if (behindColon && /[<>]/.test(char)) push("compare", text[at + 1] === "=" ? at + 2 : at + 1);
    else if (!inValue && isSign(text, at)) push(char === "+" ? "and" : "not", at + 1);
    else {
      const end = Math.max(at + 1, wordEnd(text, at, inValue));
      const word = text.slice(at, end);
      if (!inValue && text[end] === ":" && FIELD.test(word)) {
        push("field", end);
        push("colon", end + 1);
      } else push(Object.hasOwn(KEYWORDS, word) && !inValue ? KEYWORDS[word]! : "word", end);
    }
  }
  return tokens;
}
