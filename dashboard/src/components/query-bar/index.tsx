// One query language for everything that is searched: CodeMirror in one line. Loaded only where there is a query.
import { setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { startCompletion } from "@codemirror/autocomplete";
import { Annotation, EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { api } from "@/lib/api";
import { cn } from "@/lib/cn";
import { lex } from "@/lib/query/lex";
import type { QueryCheck } from "@/lib/search-types";
import { Search } from "lucide-react";
import { useEffect, useImperativeHandle, useRef, useState, type ReactNode, type Ref } from "react";
import { queryExtensions, type Suggestions } from "./editor";

export interface QueryFault {
  message: string;
  column?: number | undefined;
  hint?: string | undefined;
}

export interface QueryBarHandle {
  focus: () => void;
  text: () => string;
}

interface QueryBarProps extends Suggestions {
  value: string;
  label: string;
  placeholder: string;
  onRun: (text: string) => void;
  onChange?: ((text: string) => void) | undefined;
  onEscape?: (() => void) | undefined;
  /** What the server said about the query that was run. */
  fault?: QueryFault | undefined;
  ref?: Ref<QueryBarHandle>;
  children?: ReactNode;
  className?: string;
  testId?: string;
}

const CHECK_MS = 350;
const fromOutside = Annotation.define<boolean>();

/** From the named column to the end of the word there; at the end of the text, its last character. */
function diagnostic(text: string, fault: QueryFault): Diagnostic {
  const chars = Array.from(text);
  // The server counts characters, the editor counts UTF-16 units.
  const at = chars.slice(0, fault.column ?? 0).join("").length;
  const token = lex(text).find(({ from, to }) => from <= at && at < to);
  const from = Math.max(0, Math.min(at, text.length - 1));
  return { from, to: Math.max(from + (text.length > 0 ? 1 : 0), token?.to ?? 0), severity: "error", message: fault.hint ? `${fault.message}. ${fault.hint}` : fault.message };
}

/** What the server thinks of a text that is being written. */
function useCheck(text: string): QueryFault | undefined {
  const [result, setResult] = useState<{ text: string; fault: QueryFault | undefined }>();
  useEffect(() => {
    if (text.trim() === "") return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      void api.get<QueryCheck>("/search/check", { q: text }, stop.signal).then(
        (check) => setResult({ text, fault: check.ok ? undefined : { message: check.message ?? "This is not a query", column: check.column ?? undefined, hint: check.hint ?? undefined } }),
        // Without an answer nothing is underlined; running the query tells.
        () => undefined,
      );
    }, CHECK_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text]);
  return result?.text === text ? result.fault : undefined;
}

export function QueryBar({ value, label, placeholder, onRun, onChange, onEscape, fault, columns, valuesOf, recent, ref, children, className, testId = "query-input" }: QueryBarProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const [text, setText] = useState(value);
  const checked = useCheck(text);
  const latest = useRef({ onRun, onChange, onEscape, columns, valuesOf, recent });
  useEffect(() => {
    latest.current = { onRun, onChange, onEscape, columns, valuesOf, recent };
  });
  useImperativeHandle(ref, () => ({ focus: () => view.current?.focus(), text: () => view.current?.state.doc.toString() ?? "" }), []);

  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: value.replace(/\n/g, " "),
        extensions: [
          queryExtensions(label, placeholder, testId, { suggestions: () => latest.current, onRun: (query) => latest.current.onRun(query.trim()), onEscape: () => (latest.current.onEscape ? latest.current.onEscape() : editor.contentDOM.blur()) }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            const now = update.state.doc.toString();
            setText(now);
            if (!update.transactions.some((one) => one.annotation(fromOutside))) latest.current.onChange?.(now);
          }),
          // An empty bar offers what was asked before and the fields.
          EditorView.domEventHandlers({ click: (_, shown) => void (shown.state.doc.length === 0 && startCompletion(shown)) }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      view.current = null;
      editor.destroy();
    };
    // Made once; what changes later is handed to it below.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value }, selection: { anchor: value.length }, annotations: fromOutside.of(true) });
  }, [value]);
  const shown = checked ?? (text.trim() === value.trim() ? fault : undefined);
  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, shown ? [diagnostic(editor.state.doc.toString(), shown)] : []));
  }, [shown, text]);

  return (
    <div className={cn("flex min-h-8 min-w-0 items-start rounded-md border border-line2 bg-bg focus-within:border-accent focus-within:outline-1 focus-within:outline-accent", className)} data-testid="query-bar" data-fault={shown?.message}>
      <Search aria-hidden className="mt-2 ml-2.5 size-3.5 shrink-0 text-text3" />
      <div ref={host} className="min-w-0 flex-1" />
      {children}
    </div>
  );
}

export default QueryBar;
