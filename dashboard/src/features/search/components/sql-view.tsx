import { Empty, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { ApiError } from "@/lib/api";
import { exact, plural } from "@/lib/number";
import { columnsQuery } from "@/lib/queries";
import type { SqlResult, SqlValue } from "@/lib/search-types";
import { span } from "@/lib/time";
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Copy, Play, Route, Square } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { toast } from "sonner";
import { runSql } from "../api";
import { asText, toTsv } from "../sql";

const SqlEditor = lazy(() => import("@/components/sql-editor"));

const ROW_PX = 26;

const EXAMPLES: readonly (readonly [string, string])[] = [
  ["Events by hour and severity", "SELECT date_trunc('hour', time) AS hour, severity, count(*) AS events\nFROM events\nWHERE time > now() - INTERVAL '24 hours'\nGROUP BY 1, 2\nORDER BY 1, 2"],
  ["Who failed most", "SELECT user.name, source.ip, count(*) AS failures\nFROM events\nWHERE status = 'Failure' AND time > now() - INTERVAL '24 hours'\nGROUP BY user.name, source.ip\nORDER BY failures DESC\nLIMIT 50"],
  ["Requests and bytes by country", "SELECT src_endpoint.location.country AS country, count(*) AS requests, sum(http_response.length) AS bytes\nFROM events\nWHERE time > now() - INTERVAL '24 hours'\nGROUP BY 1\nORDER BY bytes DESC NULLS LAST"],
  ["Rules by the work their alerts make", "SELECT rule_name, count(*) AS alerts, count(*) FILTER (WHERE state = 'closed') AS closed\nFROM alerts\nGROUP BY rule_name\nORDER BY alerts DESC"],
];

type Run = { state: "idle" } | { state: "running"; since: number; explain: boolean } | { state: "done"; result: SqlResult; explain: boolean } | { state: "stopped" } | { state: "failed"; error: Error };

/** Read-only SQL over the lake. */
export function SqlView({ sql, onSql }: { sql: string | undefined; onSql: (sql: string) => void }) {
  const [text, setText] = useState(sql ?? EXAMPLES[0]![1]);
  const [run, setRun] = useState<Run>({ state: "idle" });
  const [secs, setSecs] = useState(0);
  const abort = useRef<AbortController | null>(null);
  const { data: columns } = useQuery(columnsQuery);
  useEffect(() => () => abort.current?.abort(), []);
  useEffect(() => {
    if (run.state !== "running") return;
    const timer = setInterval(() => setSecs((Date.now() - run.since) / 1000), 200);
    return () => clearInterval(timer);
  }, [run]);
  const start = (explain: boolean, statement = text) => {
    abort.current?.abort();
    const stop = new AbortController();
    abort.current = stop;
    setSecs(0);
    setRun({ state: "running", since: Date.now(), explain });
    onSql(statement);
    void runSql(statement, explain, stop.signal).then(
      (result) => !stop.signal.aborted && setRun({ state: "done", result, explain }),
      (error: Error) => abort.current === stop && setRun(stop.signal.aborted ? { state: "stopped" } : { state: "failed", error }),
    );
  };
  const stop = () => abort.current?.abort();
  return (
    <div className="flex min-h-0 flex-1 flex-col" data-testid="sql">
      <div className="shrink-0 border-b bg-panel p-3">
        <div className="h-36 overflow-hidden rounded-md border border-line2 focus-within:border-accent" >
          <Suspense fallback={<Skeleton className="h-full" />}>
            <SqlEditor value={text} onChange={setText} onRun={() => start(false)} onEscape={stop} columns={columns?.items ?? []} />
          </Suspense>
        </div>
        <div className="mt-2 flex flex-wrap items-center gap-2">
          {run.state === "running" ? (
            <Button variant="primary" onClick={stop}>
              <Square /> Stop {secs >= 1 && span(secs)}
            </Button>
          ) : (
            <Button variant="primary" onClick={() => start(false)} disabled={text.trim() === ""}>
              <Play /> Run
            </Button>
          )}
          <Button onClick={() => start(true)} disabled={text.trim() === "" || run.state === "running"}>
            <Route /> Explain
          </Button>
          <span className="hidden text-2xs text-text3 md:inline">Ctrl Enter runs · tables: events, alerts, incidents, findings · it only reads</span>
          <span className="ml-auto text-xs text-text2" role="status" data-testid="sql-status">
            {run.state === "done" && !run.explain && (
              <>
                {plural(run.result.rows.length, "row")}
                {run.result.truncated && " and more: the limit was reached"} · {span(run.result.took_ms / 1000)}
              </>
            )}
            {run.state === "stopped" && "Stopped"}
            {run.state === "running" && "Running…"}
          </span>
          {run.state === "done" && run.result.rows.length > 0 && (
            <Button size="sm" variant="ghost" onClick={() => void navigator.clipboard?.writeText(toTsv(run.result)).then(() => toast.success("The rows are in the clipboard"), () => toast.error("The clipboard is not open to this page"))}>
              <Copy /> Copy the rows
            </Button>
          )}
        </div>
      </div>
      <div className="min-h-0 flex-1 overflow-hidden bg-panel">
        {run.state === "failed" && <Failure error={run.error} />}
        {run.state === "idle" && <Examples onPick={(statement) => { setText(statement); start(false, statement); }} />}
        {run.state === "running" && <Skeleton className="m-3 h-32" />}
        {run.state === "done" && (run.explain ? <pre className="mono h-full overflow-auto p-3 text-xs leading-5" data-testid="plan">{run.result.plan ?? "The server gave no plan."}</pre> : run.result.rows.length === 0 ? <Empty title="No row">The statement ran and found nothing.</Empty> : <Rows result={run.result} />)}
      </div>
    </div>
  );
}

function Failure({ error }: { error: Error }) {
  return (
    <div role="alert" className="m-3 rounded-md border border-sev-high/40 bg-sev-high/10 px-3 py-2 text-xs" data-testid="sql-error">
      <p className="font-medium">{error instanceof ApiError ? error.title : "The statement failed"}</p>
      <pre className="mono mt-1 overflow-x-auto whitespace-pre-wrap text-text2">{error.message}</pre>
      {error instanceof ApiError && error.hint && <p className="mt-1">{error.hint}</p>}
    </div>
  );
}

function Examples({ onPick }: { onPick: (sql: string) => void }) {
  return (
    <Empty title="Ask the lake in SQL">
      <p className="mb-3">Every field is a column of the table events, by its OCSF or ECS name; alerts, incidents and findings are tables too. For example:</p>
      <ul className="grid grid-cols-[minmax(0,1fr)] gap-2">
        {EXAMPLES.map(([title, sql]) => (
          <li key={title}>
            <button type="button" onClick={() => onPick(sql)} className="w-full rounded-md border bg-bg px-3 py-2 text-left hover:border-line2">
              <span className="text-xs font-medium text-text">{title}</span>
              <span className="mono block truncate text-2xs text-text3">{sql.replace(/\s+/g, " ")}</span>
            </button>
          </li>
        ))}
      </ul>
    </Empty>
  );
}

const isNumber = (type: string): boolean => /int|float|double|decimal/i.test(type);
const CH_PX = 7.3;
const WIDTH_MIN = 70;
const WIDTH_MAX = 460;
const SAMPLE = 100;

/** As wide as its first rows need, within bounds. */
function widths({ columns, rows }: SqlResult): number[] {
  return columns.map(({ name }, i) => Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, 28 + CH_PX * Math.max(name.length, ...rows.slice(0, SAMPLE).map((row) => asText(row[i] ?? null).length)))));
}

function Rows({ result }: { result: SqlResult }) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: result.rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 12 });
  const template = widths(result).map((px) => `${Math.round(px)}px`).join(" ");
  return (
    // A long table is scrolled with the keys too.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div ref={scroller} className="h-full overflow-auto" tabIndex={0} role="region" aria-label="Rows">
      <div role="table" aria-label="Result" aria-rowcount={result.rows.length + 1} className="w-max min-w-full text-xs">
        <div role="row" className="sticky top-0 z-10 grid h-8 items-center border-b bg-panel px-3" style={{ gridTemplateColumns: template }}>
          {result.columns.map(({ name, type }) => (
            <span role="columnheader" key={name} title={`${name}: ${type}`} className={isNumber(type) ? "truncate pr-3 text-right text-2xs font-medium text-text3" : "truncate pr-3 text-2xs font-medium text-text3"}>
              {name}
            </span>
          ))}
        </div>
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => (
            <div key={item.key} role="row" className="absolute inset-x-0 top-0 grid items-center border-b border-line/60 px-3 hover:bg-raised" style={{ height: item.size, transform: `translateY(${item.start}px)`, gridTemplateColumns: template }}>
              {result.columns.map(({ name, type }, i) => (
                <SqlCell key={name} value={result.rows[item.index]?.[i] ?? null} right={isNumber(type)} />
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

function SqlCell({ value, right }: { value: SqlValue; right: boolean }) {
  const text = asText(value);
  return (
    <span role="cell" title={text} className={`mono truncate pr-3 ${right ? "text-right" : ""} ${value === null ? "text-text3" : ""}`}>
      {value === null ? "–" : typeof value === "number" && Number.isInteger(value) ? exact(value) : text}
    </span>
  );
}
