// CodeMirror with YAML. It is loaded only where a rule's text is shown.
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Annotation, Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";

export interface CodeMark {
  /** From 1. */
  line: number;
  message: string;
  /** Worth knowing, but not wrong. */
  notice?: boolean;
}

interface CodeEditorProps {
  value: string;
  label: string;
  /** Absent: for reading only. */
  onChange?: (value: string) => void;
  marks?: readonly CodeMark[];
  /** A line to go to; a new object goes there again. */
  goTo?: { line: number } | null;
  className?: string;
}

/** A text that the page set, not the reader. */
const fromOutside = Annotation.define<boolean>();

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--heat)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--text-3)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.meta], color: "var(--text-3)" },
]);

const looks = EditorView.theme({
  "&": { height: "100%", fontSize: "12px", backgroundColor: "var(--bg)", color: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.6", overflow: "auto" },
  ".cm-content": { caretColor: "var(--accent)", padding: "8px 0" },
  ".cm-gutters": { backgroundColor: "var(--bg)", color: "var(--text-3)", border: "none", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--raised) 60%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 28%, transparent) !important" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-2)", borderRadius: "6px" },
  ".cm-lintRange-info": { backgroundImage: "none", textDecoration: "underline dotted var(--sev-low)", textUnderlineOffset: "3px" },
  ".cm-diagnostic-info": { borderLeftColor: "var(--sev-low)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--sev-critical)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--sev-critical)", textUnderlineOffset: "3px" },
  ".cm-panels": { backgroundColor: "var(--panel)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--sev-medium) 35%, transparent)" },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--accent) 18%, transparent)" },
  ".cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 25%, transparent) !important" },
});

function diagnostics(state: EditorState, marks: readonly CodeMark[]): Diagnostic[] {
  return marks.map(({ line: number, message, notice }) => {
    const line = state.doc.line(Math.min(Math.max(number, 1), state.doc.lines));
    const indent = /^\s*/.exec(line.text)?.[0].length ?? 0;
    // An empty line has nothing to underline; its mark in the gutter is enough.
    return { from: Math.min(line.from + indent, line.to), to: line.to, severity: notice ? "info" : "error", message };
  });
}

export function CodeEditor({ value, label, onChange, marks, goTo, className }: CodeEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const writable = useRef(new Compartment());
  const latest = useRef({ value, onChange });
  /** Texts that were handed to `onChange` and have not come back as `value`: the reader may type faster than the page draws. */
  const sent = useRef<string[]>([]);
  const editable = onChange !== undefined;
  useEffect(() => {
    latest.current = { value, onChange };
  });

  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          bracketMatching(),
          highlightActiveLine(),
          highlightActiveLineGutter(),
          highlightSelectionMatches(),
          indentUnit.of("  "),
          EditorState.tabSize.of(2),
          // Tab indents; Escape then Tab leaves, as CodeMirror's manual asks for.
          keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap, indentWithTab]),
          yaml(),
          syntaxHighlighting(colours),
          looks,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", tabindex: "0" }),
          writable.current.of([EditorState.readOnly.of(!editable), EditorView.editable.of(editable)]),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged || update.transactions.some((one) => one.annotation(fromOutside))) return;
            const text = update.state.doc.toString();
            sent.current.push(text);
            latest.current.onChange?.(text);
          }),
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
    view.current?.dispatch({ effects: writable.current.reconfigure([EditorState.readOnly.of(!editable), EditorView.editable.of(editable)]) });
  }, [editable]);
  useEffect(() => {
    const own = sent.current.indexOf(value);
    sent.current.splice(0, own + 1);
    const editor = view.current;
    if (own >= 0 || !editor || editor.state.doc.toString() === value) return;
    sent.current = [];
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value }, annotations: fromOutside.of(true) });
  }, [value]);
  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, diagnostics(editor.state, marks ?? [])));
  }, [marks]);
  useEffect(() => {
    const editor = view.current;
    if (!editor || !goTo) return;
    const at = editor.state.doc.line(Math.min(Math.max(goTo.line, 1), editor.state.doc.lines)).from;
    editor.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    editor.focus();
  }, [goTo]);

  return <div ref={host} className={className} data-testid="code" />;
}

export default CodeEditor;
