// DEVELOPMENT TOOL ONLY: search, saved searches and SQL of mock/server.mjs over its made-up world. The page's own parser
// reads the queries; the columns are those of crates/event.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { rolldown } from "rolldown";

const root = new URL("../", import.meta.url).pathname;

/** The page's modules, compiled: Node 20 does not read TypeScript. */
async function load() {
  const entry = "\0query";
  const code = ["query/parse", "query/evaluate", "query/complete", "query/lex", "ocsf"].map((name) => `export * from ${JSON.stringify(`${root}src/lib/${name}.ts`)};`).join("\n");
  const bundle = await rolldown({ input: entry, plugins: [{ name: "entry", resolveId: (id) => (id === entry ? id : undefined), load: (id) => (id === entry ? code : undefined) }] });
  const { output } = await bundle.generate({ format: "esm" });
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString("base64")}`);
}
const { parse, matches, haystackOf, resolver, lex, fieldAt, PROSE } = await load();

const KIND = { Text: "text", Int: "int", Float: "float", Time: "time", TextList: "text_list" };
const source = readFileSync(`${root}../crates/event/src/columns.rs`, "utf8");
const COLUMNS = [...source.matchAll(/^ {4}"([\w.]+)" (Text|Int|Float|Time|TextList) (true|false) \[([^\]]*)\] "([^"]*)"/gm)].map(([, path, kind, bloom, ecs, about]) => ({ path, kind: KIND[kind], ecs: [...ecs.matchAll(/"([^"]+)"/g)].map((m) => m[1]), about, prose: PROSE.has(path), bloom: bloom === "true" }));
const column = resolver(COLUMNS);
const PATHS = new Set(COLUMNS.map((c) => c.path));
const SEVERITIES = ["informational", "low", "medium", "high", "critical"];
const WIDTHS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400];
const BARS_MAX = 80;

/** A problem as the server's parser tells it: unknown fields and open quotes. */
function faultOf(q) {
  for (const token of lex(q)) {
    if (token.unclosed) return { message: "this is not closed", column: token.from, hint: "close it, or put a backslash before it" };
    if (token.kind === "field" && token.text !== "_exists_" && !PATHS.has(column(token.text))) {
      const tail = token.text.split(".").at(-1).slice(0, 3);
      const near = COLUMNS.find((c) => c.path.includes(tail) || c.ecs.some((e) => e.includes(tail)));
      return { message: `there is no field \`${token.text}\``, column: token.from, hint: near ? `did you mean \`${near.path}\`?` : "see the list of fields" };
    }
  }
  return undefined;
}

const say = (fault) => ({ status: 400, problem: { title: "the query cannot be read", detail: fault.message, column: fault.column, hint: fault.hint } });

export class Finder {
  saved = new Map();
  constructor(world) { this.world = world; }

  hits({ q = "", from, to }) {
    const expr = parse(q);
    return this.world.events.filter((event) => (!from || event.time >= from) && (!to || event.time < to) && matches(expr, { event, haystack: haystackOf(event.raw_data ?? ""), column })).sort((a, b) => (a.time < b.time ? 1 : -1));
  }

  search(body) {
    const fault = faultOf(body.q ?? "");
    if (fault) return say(fault);
    const began = performance.now(), found = this.hits(body), start = Number(body.cursor ?? 0), limit = body.limit ?? 100;
    const to = body.to ? Date.parse(body.to) : Date.now();
    return { body: {
      items: found.slice(start, start + limit), next_cursor: start + limit < found.length ? String(start + limit) : null, total: { value: found.length, exact: true },
      histogram: !body.histogram || body.histogram === "none" ? null : this.histogram(found, body.from ? Date.parse(body.from) : Date.parse(found.at(-1)?.time ?? new Date(to)), to, body.histogram),
      fields: (body.fields ?? []).map((path) => this.values(found, column(path))), took_ms: Math.round(performance.now() - began), scanned: { files: 3, rows: this.world.events.length },
    } };
  }

  histogram(found, from, to, asked) {
    const secs = asked === "auto" ? (WIDTHS.find((w) => (to - from) / 1000 / w <= BARS_MAX) ?? 86_400) : asked, map = new Map();
    for (const event of found) {
      const start = Math.floor(Date.parse(event.time) / 1000 / secs) * secs;
      const counts = map.get(start) ?? Object.fromEntries(SEVERITIES.map((s) => [s, 0]));
      counts[event.severity]++; map.set(start, counts);
    }
    return { bucket_secs: secs, buckets: [...map].sort((a, b) => a[0] - b[0]).map(([start, counts]) => ({ start: new Date(start * 1000).toISOString(), counts })) };
  }

  values(found, path) {
    const counts = new Map();
    let present = 0;
    for (const event of found) {
      const value = fieldAt(event, path);
      if (value === undefined || value === null) continue;
      present++;
      for (const one of [value].flat()) counts.set(one, (counts.get(one) ?? 0) + 1);
    }
    return { field: path, present, distinct: counts.size, values: [...counts].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([value, count]) => ({ value, count })) };
  }

  around(uid, before, after) {
    const event = this.world.eventById(uid);
    if (!event) return { status: 404, problem: { title: "there is no such event" } };
    const same = this.world.events.filter((e) => e.metadata.log_name === event.metadata.log_name).sort((a, b) => (a.time < b.time ? -1 : 1)), at = same.indexOf(event);
    return { body: { items: same.slice(Math.max(0, at - before), at + after + 1) } };
  }

  related(uid) {
    const ids = new Set(this.world.findings.filter((f) => f.event_ids.includes(uid)).map((f) => f.alert));
    return { body: { items: this.world.alerts.filter((a) => ids.has(a.id)) } };
  }

  sql({ sql, explain }) {
    if (explain) return { body: { columns: [], rows: [], truncated: false, took_ms: 1, plan: `Projection\n  Aggregate: groupBy=[[events.severity]], aggr=[[count(*)]]\n    TableScan: events\n      ${sql.split("\n")[0]}` } };
    if (!/^\s*select/i.test(sql)) return { status: 400, problem: { title: "only SELECT can be asked", detail: `the statement starts with ${JSON.stringify(sql.trim().split(/\s/)[0] ?? "")}, and only SELECT reads` } };
    const by = /group by ([a-z][\w."]+)/i.exec(sql)?.[1]?.replaceAll('"', "");
    if (!by) return { body: { columns: [{ name: "time", type: "Timestamp" }, { name: "severity", type: "Utf8" }, { name: "raw_data", type: "Utf8" }], rows: this.world.events.slice(-200).reverse().map((e) => [e.time, e.severity, e.raw_data]), truncated: true, took_ms: 12 } };
    return { body: { columns: [{ name: by, type: "Utf8" }, { name: "n", type: "Int64" }], rows: this.values(this.world.events, column(by)).values.map((v) => [v.value, v.count]), truncated: false, took_ms: 7 } };
  }

  keep(method, id, body, session) {
    if (method === "GET") return { body: id ? this.saved.get(id) : { items: [...this.saved.values()] } };
    if (method === "DELETE") { this.saved.delete(id); return { status: 204 }; }
    if (!body.name?.trim()) return { status: 400, problem: { title: "a saved search needs a name", detail: "a saved search needs a name" } };
    const now = new Date().toISOString(), old = this.saved.get(id);
    const one = { created_at: now, owner: session.name, last_run: null, ...old, ...body, id: old?.id ?? randomUUID(), updated_at: now };
    if (one.schedule?.enabled) one.last_run = { time: now, hits: 12, findings: 1, error: null };
    this.saved.set(one.id, one);
    return { status: old ? 200 : 201, body: one };
  }

  async answer(method, path, p, session, readBody) {
    const [, kind, id, third] = path.split("/").map(decodeURIComponent);
    if (path === "/search/columns") return { body: { items: COLUMNS } };
    if (path === "/search/check") {
      const fault = faultOf(p.get("q") ?? "");
      return { body: { ok: !fault, message: null, column: null, hint: null, normalised: p.get("q"), ...fault } };
    }
    if (path === "/search" && method === "GET") return this.search({ ...Object.fromEntries(p), limit: Number(p.get("limit") ?? 100) });
    if (path === "/search" && method === "POST") return this.search(await readBody());
    if (kind === "events" && third === "around") return this.around(id, Number(p.get("before") ?? 10), Number(p.get("after") ?? 10));
    if (kind === "events" && third === "findings") return this.related(id);
    if (path === "/sql" && method === "POST") return this.sql(await readBody());
    if (kind === "searches") return this.keep(method, id, method === "POST" || method === "PUT" ? await readBody() : undefined, session);
    if (path === "/export") return { text: this.hits({ q: p.get("q") ?? "", from: p.get("from"), to: p.get("to") }).map((e) => JSON.stringify(e)).join("\n") };
    return undefined;
  }
}
