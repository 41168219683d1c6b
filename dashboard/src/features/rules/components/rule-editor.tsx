import { periodOf, RangePicker } from "@/components/range-picker";
import { Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import type { RuleSearch } from "@/lib/go";
import { useNow } from "@/lib/use-now";
import type { Replay, Rule } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Download, History, RotateCcw, Square } from "lucide-react";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { checkQuery, replay, type ReplayRequest } from "../api";
import { fileName, isNotice } from "../match";
import { Issues } from "./issues";
import { ReplayResult } from "./replay-result";

const CodeEditor = lazy(() => import("@/components/ui/code-editor"));

interface RuleEditorProps {
  original: string;
  /** null: a new one. */
  rule: Rule | null;
  search: RuleSearch;
  onSearch: (change: RuleSearch) => void;
}

const CHECK_MS = 400;
const RANGES = ["1h", "24h", "7d", "30d"] as const;
const FALLBACK = "24h";

/** What was typed survives a reload of the page, in this tab. */
function useDraft(key: string, original: string) {
  const [text, setText] = useState(() => {
    try {
      return sessionStorage.getItem(key) ?? original;
    } catch {
      return original;
    }
  });
  const change = (next: string) => {
    setText(next);
    try {
      if (next === original) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, next);
    } catch {
      // A browser that stores nothing still edits; the text lasts until the reload.
    }
  };
  return [text, change] as const;
}

function useSettled(value: string, ms: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

type Run = { state: "idle" } | { state: "running"; since: number } | { state: "failed"; error: Error } | { state: "done"; text: string; result: Replay; before: Replay | undefined };

/** A text to change, checked while it is typed and tried on what is stored. Nothing here changes the server. */
export function RuleEditor({ original, rule, search, onSearch }: RuleEditorProps) {
  const [text, setText] = useDraft(`erne.draft.${rule?.id ?? "new"}`, original);
  const settled = useSettled(text, CHECK_MS);
  const check = useQuery(checkQuery(settled));
  const [compare, setCompare] = useState(true);
  const [run, setRun] = useState<Run>({ state: "idle" });
  const [goTo, setGoTo] = useState<{ line: number } | null>(null);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);

  const changed = text !== original;
  const issues = check.data?.issues;
  const marks = useMemo(() => (issues ?? []).flatMap((issue) => (issue.line ? [{ line: issue.line, message: [issue.message, issue.hint].filter(Boolean).join("\n"), notice: isNotice(issue) }] : [])), [issues]);

  const start = async () => {
    stop.current?.abort();
    const controller = new AbortController();
    stop.current = controller;
    setRun({ state: "running", since: Date.now() });
    const now = Date.now();
    const { from = new Date(0).toISOString(), to = new Date(now).toISOString() } = periodOf(search, now, FALLBACK);
    const ask = (what: Pick<ReplayRequest, "text">) => replay({ ...what, from, to }, controller.signal);
    try {
      const result = await ask({ text });
      const before = rule && changed && compare ? await ask({ text: original }) : undefined;
      setRun({ state: "done", text, result, before });
    } catch (error) {
      if (controller.signal.aborted) return;
      setRun({ state: "failed", error: error instanceof Error ? error : new Error("The replay failed.") });
    }
  };
  const cancel = () => {
    stop.current?.abort();
    setRun({ state: "idle" });
  };
  const broken = check.data?.rules.length === 0;

  return (
    <div className="grid flex-1 gap-2.5 p-2.5 xl:min-h-0 xl:grid-cols-2" data-testid="rule-editor">
      <section className="flex min-h-[28rem] min-w-0 flex-col rounded-lg border bg-panel xl:min-h-0" aria-label="The text to try">
        <div className="flex flex-wrap items-center gap-2 border-b px-3 py-2">
          <span className="text-sm font-semibold">{rule ? "Try a change" : "Text"}</span>
          <span className="text-2xs text-text3">{changed ? "changed here only" : rule ? "as it is" : "an example to begin with"}</span>
          <span className="ml-auto flex gap-2">
            <Button size="sm" disabled={!changed} onClick={() => setText(original)}>
              <RotateCcw /> Start over
            </Button>
            <Button size="sm" onClick={() => download(fileName(text, rule?.name ?? "rule"), text)}>
              <Download /> Download .yml
            </Button>
          </span>
        </div>
        <Suspense fallback={<Skeleton className="m-3 flex-1" />}>
          <CodeEditor value={text} onChange={setText} marks={marks} goTo={goTo} label="The rule's text, editable" className="min-h-0 flex-1 overflow-hidden" />
        </Suspense>
        <Issues check={check.data} error={check.error} checking={check.isFetching || settled !== text} onGo={(line) => setGoTo({ line })} />
      </section>
      <section className="flex min-h-80 min-w-0 flex-col rounded-lg border bg-panel xl:min-h-0" aria-label="Replay">
        <div className="flex flex-wrap items-center gap-2 border-b px-3 py-2">
          <span className="text-sm font-semibold">Replay</span>
          <RangePicker value={search} onChange={onSearch} ranges={RANGES} fallback={FALLBACK} />
          {rule && changed && (
            <span className="flex items-center gap-1.5 text-xs text-text2">
              <Checkbox label="Compare with the rule as it is" checked={compare} onChange={setCompare} /> compare with the rule as it is
            </span>
          )}
          <span className="ml-auto">
            {run.state === "running" ? (
              <Button size="sm" onClick={cancel}>
                <Square /> Stop
              </Button>
            ) : (
              <Button size="sm" variant="primary" disabled={broken || text.trim() === ""} title={broken ? "The text has to load first" : undefined} onClick={() => void start()}>
                <History /> Replay
              </Button>
            )}
          </span>
        </div>
        <div className="min-h-0 flex-1 overflow-y-auto p-3">
          {run.state === "idle" && (
            <Empty title="Would it have fired?">
              <p>Replay runs this text over what is stored. Nothing is stored, and nobody is told: no finding, no alert, no message.</p>
            </Empty>
          )}
          {run.state === "running" && <Running since={run.since} />}
          {run.state === "failed" && <Problem error={run.error} retry={() => void start()} />}
          {run.state === "done" && <ReplayResult result={run.result} before={run.before} stale={run.text !== text} />}
        </div>
      </section>
    </div>
  );
}

function Running({ since }: { since: number }) {
  const now = useNow(500);
  return (
    <div role="status" className="grid grid-cols-1 gap-3">
      <p className="text-xs text-text2">Reading what is stored… {Math.max(0, Math.floor((now - since) / 1000))} s</p>
      <Skeleton className="h-16" />
      <Skeleton className="h-32" />
    </div>
  );
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
