// The CodeMirror side of the query bar: colours, completion, keys, the underlined error.
import { acceptCompletion, autocompletion, closeCompletion, completionKeymap, completionStatus, moveCompletionSelection, selectedCompletion, startCompletion, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { EditorState, Prec, type Extension } from "@codemirror/state";
import { Decoration, EditorView, keymap, placeholder as placeholderText, ViewPlugin, type DecorationSet, type ViewUpdate } from "@codemirror/view";
import { compact } from "@/lib/number";
import { fitting, resolver, wantedAt } from "@/lib/query/complete";
import { quoted } from "@/lib/query/edit";
import { lex, type Token } from "@/lib/query/lex";
import type { FieldValues, SearchColumn } from "@/lib/search-types";

export interface Suggestions {
  columns: readonly SearchColumn[];
  /** The most frequent values of a column. */
  valuesOf?: ((path: string) => Promise<FieldValues | undefined>) | undefined;
  /** Queries asked before, newest first. */
  recent: readonly string[];
}

const CLASS: Partial<Record<Token["kind"], string>> = { field: "q-field", colon: "q-mark", compare: "q-mark", open: "q-mark", close: "q-mark", and: "q-word", or: "q-word", not: "q-word", string: "q-string", regex: "q-pattern", range: "q-pattern" };

function decorate(text: string): DecorationSet {
  const marks = lex(text).flatMap((token) => {
    const name = token.unclosed ? "q-open" : token.kind === "word" && /[*?]/.test(token.text) ? "q-pattern" : CLASS[token.kind];
    return name ? [Decoration.mark({ class: name }).range(token.from, token.to)] : [];
  });
  return Decoration.set(marks);
}

const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = decorate(view.state.doc.toString());
    }
    update(update: ViewUpdate) {
      if (update.docChanged) this.decorations = decorate(update.state.doc.toString());
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

const looks = EditorView.theme({
  "&": { fontSize: "12px", backgroundColor: "transparent", color: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", fontFeatureSettings: '"zero", "calt" 0', lineHeight: "20px", maxHeight: "104px", overflow: "auto" },
  ".cm-content": { caretColor: "var(--accent)", padding: "5px 0" },
  ".cm-line": { padding: "0 2px 0 6px" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  ".cm-placeholder": { color: "var(--text-3)" },
  ".q-field": { color: "var(--accent)" },
  ".q-mark": { color: "var(--text-3)" },
  ".q-word": { color: "var(--heat)", fontWeight: "600" },
  ".q-string": { color: "var(--q-string)" },
  ".q-pattern": { color: "var(--sev-medium)" },
  ".q-open": { color: "var(--sev-high)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--sev-critical)", textUnderlineOffset: "3px", textDecorationSkipInk: "none" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--sev-critical)" },
  ".cm-diagnostic": { fontFamily: "var(--font-sans)", fontSize: "12px", padding: "4px 8px" },
  ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--line-2)", borderRadius: "6px", boxShadow: "var(--shadow)", overflow: "hidden", zIndex: "30" },
  ".cm-tooltip.cm-tooltip-autocomplete": { marginTop: "7px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-mono)", fontSize: "12px", maxHeight: "18rem", maxWidth: "min(46rem, 92vw)", minWidth: "min(22rem, 92vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { display: "flex", alignItems: "baseline", gap: "12px", padding: "4px 10px", lineHeight: "18px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > completion-section": { fontFamily: "var(--font-sans)", fontSize: "11px", color: "var(--text-3)", borderBottom: "none", padding: "6px 10px 2px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionLabel": { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap", minWidth: "0" },
  ".cm-completionDetail": { marginLeft: "auto", fontFamily: "var(--font-sans)", fontSize: "11px", fontStyle: "normal", color: "var(--text-3)", overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" },
  ".cm-completionMatchedText": { textDecoration: "none" },
});

const OPERATORS: readonly Completion[] = [
  { label: "AND", detail: "both", apply: "AND " },
  { label: "OR", detail: "one of them", apply: "OR " },
  { label: "NOT", detail: "the contrary", apply: "NOT " },
];
const RECENT_MAX = 8;
const FIELDS_MAX = 60;
const NUMBERS: ReadonlySet<string> = new Set(["int", "float", "time"]);
const inSection = (name: string, rank: number) => ({ name, rank });

/** Writes `path:` and goes on with its values. */
function applyField(path: string) {
  return (view: EditorView, _: Completion, from: number, to: number) => {
    const colon = view.state.sliceDoc(to, to + 1) === ":" ? 1 : 0;
    view.dispatch({ changes: { from, to: to + colon, insert: `${path}:` }, selection: { anchor: from + path.length + 1 }, userEvent: "input.complete" });
    setTimeout(() => startCompletion(view), 0);
  };
}

async function valueOptions(field: string, typed: string, { columns, valuesOf }: Suggestions): Promise<Completion[]> {
  const path = resolver(columns)(field);
  const column = columns.find((one) => one.path === path);
  const found = column && valuesOf ? await valuesOf(path).catch(() => undefined) : undefined;
  const wanted = typed.toLowerCase();
  const values = (found?.values ?? []).filter(({ value }) => String(value).toLowerCase().includes(wanted));
  const top = values.map(({ value, count }): Completion => ({ label: String(value), detail: compact(count), apply: `${typeof value === "number" && value >= 0 ? value : quoted(String(value))} `, section: inSection("Most frequent in this period", 0) }));
  const ways: Completion[] = typed !== "" ? [] : [
    { label: "*", detail: "has any value", apply: "* ", section: inSection("Other tests", 1) },
    ...(column && NUMBERS.has(column.kind) ? [{ label: ">=", detail: "at least", section: inSection("Other tests", 1) }, { label: "<", detail: "less than", section: inSection("Other tests", 1) }, { label: "[… TO …]", detail: "between, both included", apply: "[", section: inSection("Other tests", 1) }] : []),
    ...(path.endsWith(".ip") ? [{ label: "10.0.0.0/8", detail: "a block of addresses", section: inSection("Other tests", 1) }] : []),
  ];
  return [...top, ...ways];
}

function fieldOptions(typed: string, joins: boolean, suggestions: Suggestions, empty: boolean): Completion[] {
  const recent = empty ? suggestions.recent.slice(0, RECENT_MAX).map((query): Completion => ({ label: query, section: inSection("Recent", 0), type: "recent" })) : [];
  const operators = joins ? OPERATORS.filter(({ label }) => label.startsWith(typed.toUpperCase())).map((one) => ({ ...one, section: inSection("Joined by", 1) })) : [];
  const fields = fitting(suggestions.columns, typed).slice(0, FIELDS_MAX).map((column): Completion => ({ label: column.path, detail: column.about, apply: applyField(column.path), section: inSection("Fields", 2) }));
  return [...recent, ...operators, ...fields];
}

const source = (suggestions: () => Suggestions) => async (context: CompletionContext): Promise<CompletionResult | null> => {
  const text = context.state.doc.toString();
  const wanted = wantedAt(text, context.pos);
  if (!wanted) return null;
  if (wanted.what === "value") {
    const options = await valueOptions(wanted.field, wanted.typed, suggestions());
    return options.length > 0 && !context.aborted ? { from: wanted.from, options, filter: false } : null;
  }
  const options = fieldOptions(wanted.typed, wanted.joins, suggestions(), text.trim() === "");
  return options.length > 0 ? { from: wanted.from, options, filter: false } : null;
};

const PENDING_MS = 40;
const PENDING_TRIES_MAX = 12;

/** Takes the marked suggestion, or the first one; while they are being looked for, as soon as they are there. */
function acceptFirst(view: EditorView, tries = 0): boolean {
  const status = completionStatus(view.state);
  if (status === null) return false;
  if (status === "pending") {
    if (tries < PENDING_TRIES_MAX) setTimeout(() => acceptFirst(view, tries + 1), PENDING_MS);
    return true;
  }
  if (!selectedCompletion(view.state)) moveCompletionSelection(true)(view);
  return acceptCompletion(view);
}

interface Handlers {
  suggestions: () => Suggestions;
  onRun: (text: string) => void;
  onEscape: () => void;
}

/** One line: what is pasted with line breaks gets spaces. */
const oneLine = EditorState.transactionFilter.of((transaction) => {
  if (transaction.newDoc.lines === 1) return transaction;
  const text = transaction.newDoc.toString().replace(/\s*\n\s*/g, " ");
  return [{ changes: { from: 0, to: transaction.startState.doc.length, insert: text }, selection: { anchor: Math.min(transaction.newSelection.main.head, text.length) } }];
});

export function queryExtensions(label: string, placeholder: string, testId: string, { suggestions, onRun, onEscape }: Handlers): Extension[] {
  return [
    oneLine,
    history(),
    autocompletion({ override: [source(suggestions)], selectOnOpen: false, icons: false, defaultKeymap: false, activateOnTyping: true, interactionDelay: 0, maxRenderedOptions: 80 }),
    Prec.highest(
      keymap.of([
        {
          key: "Enter",
          run: (view) => {
            if (completionStatus(view.state) === "active" && selectedCompletion(view.state)) return acceptCompletion(view);
            closeCompletion(view);
            onRun(view.state.doc.toString());
            return true;
          },
        },
        { key: "Tab", run: (view) => acceptFirst(view) },
        {
          key: "Escape",
          run: (view) => {
            if (closeCompletion(view)) return true;
            onEscape();
            return true;
          },
        },
        // Without a popup they move the cursor in long queries, as everywhere.
        ...completionKeymap.filter(({ key }) => key !== "Enter" && key !== "Escape"),
      ]),
    ),
    keymap.of([...defaultKeymap, ...historyKeymap]),
    colours,
    looks,
    EditorView.lineWrapping,
    placeholderText(placeholder),
    EditorView.contentAttributes.of({ "aria-label": label, "aria-multiline": "false", spellcheck: "false", autocapitalize: "off", autocorrect: "off", enterkeyhint: "search", "data-testid": testId }),
  ];
}
