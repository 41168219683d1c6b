// DEVELOPMENT TOOL ONLY: incidents, entities, exceptions and rule tools of mock/server.mjs, made from its world.
import { createHash, randomUUID } from "node:crypto";

const SEVERITIES = ["informational", "low", "medium", "high", "critical"];
const RISK = { informational: 1, low: 10, medium: 25, high: 50, critical: 80 };
const HOUR = 3600_000;
const GAP = 2 * HOUR;
const iso = (ms) => new Date(ms).toISOString();
const keyOf = (entity) => `${entity.kind} ${entity.value}`;
const name = (id) => id.replaceAll("-", " ");

const PRODUCT = { cloud: ["aws", "", "cloudtrail"], web: ["", "webserver", ""], auth: ["linux", "", "sshd"] };

function textOf(rule) {
  const [product, category, service] = PRODUCT[rule.on];
  const source = Object.entries({ product, category, service }).filter(([, v]) => v).map(([k, v]) => `  ${k}: ${v}`).join("\n");
  const head = `title: ${rule.name}\nid: ${rule.id}\nstatus: test\ndescription: ${rule.description}\nauthor: Erne mock\ntags:\n${rule.techniques.map((t) => `  - attack.${t.toLowerCase()}`).join("\n")}\n`;
  if (rule.kind === "correlation") return `${head}correlation:\n  type: event_count\n  rules:\n    - ssh_failure\n  group-by:\n    - source.ip\n  timespan: 5m\n  condition:\n    gte: 5\nlevel: ${rule.level}\n`;
  const lines = rule.on === "cloud" ? `    eventSource: ${rule.call[1]}\n    eventName: ${rule.call[0]}` : rule.on === "web" ? `    cs-uri|contains: '${rule.sample}'` : `    user: root`;
  return `${head}logsource:\n${source}\ndetection:\n  selection:\n${lines}\n  condition: selection\nfalsepositives:\n${rule.false_positives.map((f) => `  - ${f}`).join("\n") || "  - None known."}\nlevel: ${rule.level}\n`;
}

const step = (selection, field, operator, expected, actual, ok, all = false) => ({ selection, field, operator, expected, all, actual, matched: ok });

export class Stories {
  incidents = [];
  exceptions = [];
  constructor(world) {
    this.world = world;
    world.onAlert = (alert, ms, publish) => this.tell(alert, ms, publish);
  }

  tell(alert, ms, publish) {
    const key = keyOf(alert.entity);
    let incident = this.incidents.find((i) => keyOf(i.entity) === key && Math.abs(Date.parse(i.last_seen) - ms) < GAP && i.state !== "closed");
    const created = !incident;
    if (!incident) {
      incident = { id: createHash("sha256").update(key + ms).digest("hex").slice(0, 32), entity: alert.entity, state: "open", severity: alert.severity, risk: 0, title: "", first_seen: alert.first_seen, last_seen: alert.last_seen, tactics: [], techniques: [], alert_count: 0, signal_count: 0, event_count: 0, assignee: null, history: [], ids: new Set() };
      this.incidents.push(incident);
    }
    incident.ids.add(alert.id);
    const alerts = this.alertsOf(incident);
    incident.first_seen = alerts.reduce((min, a) => (a.first_seen < min ? a.first_seen : min), alert.first_seen);
    incident.last_seen = alerts.reduce((max, a) => (a.last_seen > max ? a.last_seen : max), alert.last_seen);
    incident.severity = SEVERITIES[Math.max(...alerts.map((a) => SEVERITIES.indexOf(a.severity)), 0)];
    incident.tactics = [...new Set(alerts.flatMap((a) => a.rule.tactics))];
    incident.techniques = [...new Set(alerts.flatMap((a) => a.rule.techniques))].sort();
    incident.signal_count = alerts.filter((a) => a.rule.handling.signal).length;
    incident.alert_count = alerts.length - incident.signal_count;
    incident.event_count = alerts.reduce((sum, a) => sum + a.event_count, 0);
    incident.risk = Math.round(alerts.reduce((sum, a) => sum + RISK[a.severity], 0));
    const words = incident.tactics.slice(0, 3).map(name);
    incident.title = `${words.length ? `${words[0][0].toUpperCase()}${words.join(", then ").slice(1)}` : alert.rule.name}, by ${alert.user ?? incident.entity.value}${alert.source_ip ? ` from ${alert.source_ip}` : ""}`;
    if (publish) this.world.onPublish("incident", { incident: this.pub(incident), created });
  }

  alertsOf(incident) {
    return this.world.alerts.filter((a) => incident.ids.has(a.id)).sort((a, b) => (a.first_seen < b.first_seen ? -1 : 1));
  }
  pub(incident) { return { ...incident, ids: undefined }; }

  async answer(method, path, p, session, readBody) {
    const [, kind, id, third] = path.split("/").map(decodeURIComponent);
    if (path === "/incidents") return { body: this.list(p) };
    if (path === "/incidents/state" && method === "POST") return { body: this.setState(await readBody(), session) };
    if (kind === "incidents" && third === "assignee") return this.assign(id, await readBody());
    if (kind === "incidents" && id) {
      const incident = this.incidents.find((i) => i.id === id);
      return incident ? { body: { incident: this.pub(incident), alerts: this.alertsOf(incident) } } : { status: 404, title: "There is no such incident." };
    }
    if (path === "/entities") return { body: { items: this.entities().slice(0, Number(p.get("limit") ?? 10)) } };
    if (kind === "entities" && third) {
      const story = this.entity({ kind: id, value: third });
      return story.alerts.length > 0 ? { body: story } : { status: 404, title: "There is no such entity." };
    }
    if (path === "/exceptions" && method === "GET") return { body: { items: this.exceptions } };
    if (path === "/exceptions" && method === "POST") return this.except(await readBody(), session);
    if (kind === "exceptions" && method === "DELETE") { this.exceptions = this.exceptions.filter((e) => e.id !== id); return { status: 204 }; }
    const answered = await this.answers(method, path, kind, id, p, session, readBody);
    if (answered) return answered;
    if (path === "/rules/check") return { body: this.check((await readBody()).text) };
    if (path === "/rules/replay") { await new Promise((done) => setTimeout(done, 800)); return { body: this.replay(await readBody()) }; }
    if (kind === "rules" && id && method === "GET") return this.rule(id);
    if (path === "/explain") return { body: this.explain(await readBody()) };
    if (path === "/coverage/navigator") return { body: { name: "Erne", domain: "enterprise-attack", techniques: this.world.coverage().map((t) => ({ techniqueID: t.id, score: t.findings })) } };
    return undefined;
  }

  bans = [];
  trusts = [{ id: randomUUID(), cidr: "198.51.100.0/24", kind: "list", reason: "The office in Bern", actor: "admin", created_at: iso(Date.now() - 40 * HOUR) }];

  /** Some bans of each kind, made from the world's alerts when first asked. */
  someBans() {
    if (this.bans.length > 0) return this.bans;
    const ban = (cidr, reason, more = {}, secs = 4 * 3600, age = 600) => ({ id: randomUUID(), cidr, reason, actor: "erne", source: "rule", rule: null, rule_name: null, alert: null, finding: null, created_at: iso(Date.now() - age * 1000), until: secs ? iso(Date.now() + (secs - age) * 1000) : null, dry_run: false, grown_from: null, offences: 0, undone: null, state: "active", actions: [{ name: "firewall", state: "applied" }, { name: "fail2ban", state: "applied" }], ...more });
    const alert = this.world.alerts.find((a) => a.source_ip);
    this.bans = [
      ban(`${alert?.source_ip ?? "203.0.113.7"}/32`, alert?.rule.name ?? "Password guessing over SSH", { rule: alert?.rule.id, rule_name: alert?.rule.name, alert: alert?.id, offences: 2 }, 16 * 3600, 95),
      ban("45.148.10.0/24", "8 banned addresses of this network", { grown_from: 8 }, 7 * 86_400, 3_000),
      ban("2001:db8:4f:1::/64", "Probing for secrets in the web root", { source: "agent", actor: "agt_shop" }, 3_600, 1_200),
      ban("203.0.113.99/32", "Credential stuffing, ticket 4711", { source: "manual", actor: "ana", actions: [{ name: "firewall", state: "applied" }, { name: "fail2ban", state: "failed", error: "fail2ban-client: Failed to access socket path: /var/run/fail2ban/fail2ban.sock. Is fail2ban running?" }] }, 0, 86_400),
      ban("192.0.2.44/32", "Path traversal", { dry_run: true, actions: [] }, 3_600, 400),
      ban("192.0.2.10/32", "imported from blocklist.txt", { source: "import", actor: "key:7", state: "expired", actions: [] }, 3_600, 9_000),
      ban("203.0.113.4/32", "Password guessing over SSH", { state: "undone", undone: { actor: "admin", at: iso(Date.now() - 900_000), reason: "our own scanner" }, actions: [] }, 14_400, 4_000),
    ];
    return this.bans;
  }

  async answers(method, path, kind, id, p, session, readBody) {
    const bans = kind === "bans" || path === "/answer" ? this.someBans() : [];
    if (path === "/answer") return { body: { automatic: true, dry_run: true, bans_per_hour: 100, bans_last_hour: 2, active: 4, dry: 1, networks: 4, actions: [{ name: "firewall", kind: "nftables", held: 4, looked_at: iso(Date.now()), error: null }, { name: "fail2ban", kind: "fail2ban", held: 3, looked_at: iso(Date.now()), error: "fail2ban-client: Failed to access socket path: /var/run/fail2ban/fail2ban.sock. Is fail2ban running?" }], refused: { trusted: 2 } } };
    if (path === "/bans" && method === "GET") {
      const states = p.getAll("state"), q = p.get("q")?.toLowerCase();
      const items = bans.filter((b) => (!states.length || states.includes(b.state)) && (!q || `${b.cidr} ${b.reason} ${b.actor}`.toLowerCase().includes(q)));
      return { body: { items, next_cursor: null, total: items.length } };
    }
    if (path === "/bans/check") {
      const { cidr } = await readBody();
      if (!/^[0-9a-f.:]+(\/\d+)?$/.test(cidr)) return { status: 400, title: `"${cidr}" is no address and no network: write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/48` };
      const net = cidr.includes("/") ? cidr : `${cidr}/32`, bits = Number(net.split("/")[1]);
      return { body: { cidr: net, own_address: net.startsWith("203.0.113.0/") ? "203.0.113.20" : null, spared: this.trusts.filter((t) => t.cidr.startsWith(net.slice(0, 6))), trusted: net.startsWith("127."), banned: [], size: 2 ** (32 - bits) } };
    }
    if (path === "/bans" && method === "POST") {
      const body = await readBody();
      const made = { ...bans.find((b) => b.state === "active"), dry_run: false, grown_from: null, state: "active", undone: null, id: randomUUID(), cidr: body.cidr.includes("/") ? body.cidr : `${body.cidr}/32`, reason: body.reason, source: "manual", actor: session.name, rule: null, rule_name: null, alert: body.alert ?? null, offences: 0, created_at: iso(Date.now()), until: body.secs ? iso(Date.now() + body.secs * 1000) : null };
      bans.unshift(made);
      return { status: 201, body: made };
    }
    if (kind === "bans" && method === "DELETE") {
      const ban = bans.find((b) => b.id === id);
      Object.assign(ban, { state: "undone", actions: [], undone: { actor: session.name, at: iso(Date.now()), reason: "taken back" } });
      return { body: { undone: [ban] } };
    }
    if (path === "/trusts" && method === "GET") return { body: { items: [...this.trusts, { id: null, cidr: "203.0.113.20/32", kind: "admin", reason: "admin was signed in from 203.0.113.20", actor: null, created_at: iso(Date.now()) }, { id: null, cidr: "127.0.0.0/8", kind: "always", reason: "loopback", actor: null, created_at: null }] } };
    if (path === "/trusts" && method === "POST") {
      const trust = { ...(await readBody()), id: randomUUID(), kind: "list", actor: session.name, created_at: iso(Date.now()) };
      this.trusts.push(trust);
      return { status: 201, body: { trust, undone: [] } };
    }
    if (kind === "trusts" && method === "DELETE") { this.trusts = this.trusts.filter((t) => t.id !== id); return { status: 204 }; }
    return undefined;
  }

  list(p) {
    const states = p.getAll("state"), min = SEVERITIES.indexOf(p.get("severity_min") ?? "informational"), q = p.get("q")?.toLowerCase(), from = p.get("from"), to = p.get("to");
    const items = this.incidents.filter((i) => (i.alert_count > 0 || i.signal_count > 1) && (!states.length || states.includes(i.state)) && SEVERITIES.indexOf(i.severity) >= min && (!q || JSON.stringify(i).toLowerCase().includes(q)) && (!from || i.last_seen >= from) && (!to || i.first_seen < to)).sort((a, b) => (a.last_seen < b.last_seen ? 1 : -1)).map((i) => this.pub(i));
    const limit = Number(p.get("limit") ?? 50), start = Number(p.get("cursor") ?? 0);
    return { items: items.slice(start, start + limit), next_cursor: start + limit < items.length ? String(start + limit) : null, total: items.length };
  }

  setState({ ids, state, reason }, session) {
    const items = this.incidents.filter((i) => ids.includes(i.id));
    for (const i of items) { i.state = state; i.history.push({ state, actor: session.name, time: iso(Date.now()), ...(reason ? { reason } : {}) }); this.world.onPublish("incident", { incident: this.pub(i), created: false }); }
    return { items: items.map((i) => this.pub(i)) };
  }

  assign(id, { assignee }) {
    const incident = this.incidents.find((i) => i.id === id);
    if (!incident) return { status: 404, title: "There is no such incident." };
    incident.assignee = assignee;
    this.world.onPublish("incident", { incident: this.pub(incident), created: false });
    return { body: this.pub(incident) };
  }

  entities() {
    const map = new Map();
    for (const alert of this.world.alerts) {
      const row = map.get(keyOf(alert.entity)) ?? { entity: alert.entity, risk: 0, alerts: 0, last_seen: alert.last_seen, tactics: [] };
      row.risk += Math.round(RISK[alert.severity] * 0.5 ** ((Date.now() - Date.parse(alert.last_seen)) / (24 * HOUR)));
      row.alerts++;
      if (alert.last_seen > row.last_seen) row.last_seen = alert.last_seen;
      row.tactics = [...new Set([...row.tactics, ...alert.rule.tactics])];
      map.set(keyOf(alert.entity), row);
    }
    return [...map.values()].sort((a, b) => b.risk - a.risk);
  }

  entity(entity) {
    const key = keyOf(entity), now = Date.now();
    const alerts = this.world.alerts.filter((a) => keyOf(a.entity) === key).sort((a, b) => (a.last_seen < b.last_seen ? 1 : -1));
    const riskAt = (t) => Math.round(alerts.filter((a) => Date.parse(a.last_seen) <= t).reduce((sum, a) => sum + RISK[a.severity] * 0.5 ** ((t - Date.parse(a.last_seen)) / (24 * HOUR)), 0));
    const history = Array.from({ length: 169 }, (_, i) => now - (168 - i) * HOUR).map((t) => ({ time: iso(t), risk: riskAt(t) }));
    return { entity, risk: riskAt(now), history, alerts, incidents: this.incidents.filter((i) => keyOf(i.entity) === key).map((i) => this.pub(i)).reverse(), tactics: [...new Set(alerts.toReversed().flatMap((a) => a.rule.tactics))], first_seen: alerts.at(-1)?.first_seen ?? null, last_seen: alerts[0]?.last_seen ?? null };
  }

  except(body, session) {
    if (!body.reason) return { status: 400, title: "A reason is needed." };
    const made = { ...body, id: randomUUID(), rule_name: this.world.rules.find((r) => r.id === body.rule_id)?.name ?? null, author: session.name, created_at: iso(Date.now()), hits: 0, last_hit: null };
    this.exceptions.unshift(made);
    return { status: 201, body: made };
  }

  rule(id) {
    const rule = this.world.rules.find((r) => r.id === id);
    if (!rule) return { status: 404, title: "There is no such rule." };
    const { on, call: _c, sample: _s, ok: _o, say: _y, cond: _d, ...pub } = rule;
    const list = rule.kind === "intel";
    return { body: { rule: pub, text: list ? "" : textOf(rule), log_source: rule.kind === "correlation" ? ["", "", ""] : PRODUCT[on], fields: list ? ["src_endpoint.ip"] : rule.kind === "correlation" ? [] : { cloud: ["eventSource", "eventName"], web: ["cs-uri", "cs-method"], auth: ["user"] }[on], correlation: rule.kind === "correlation" ? { kind: "event_count", rules: ["mock-root-login"], group_by: ["source.ip"], timespan_secs: 300, condition: { gte: 5 } } : null, can_match: on !== "auth" || rule.kind === "correlation", why: on === "auth" && rule.kind !== "correlation" ? "No source sends product linux, service sshd: nothing has come in with it." : `Sources ${on === "cloud" ? "cloudtrail" : on === "web" ? "web-01 and web-02" : "bastion-01"} send what it looks at.` } };
  }

  check(text) {
    const issues = [], lines = text.split("\n");
    const at = lines.findIndex((line) => line.includes("\t"));
    if (at >= 0) issues.push({ file: "", line: at + 1, message: "a tab cannot indent YAML", hint: "use spaces" });
    const level = lines.findIndex((line) => line.startsWith("level:") && !/(informational|low|medium|high|critical)\s*$/.test(line));
    if (level >= 0) issues.push({ file: "", line: level + 1, message: `unknown level ${lines[level].slice(6).trim()}`, hint: "one of informational, low, medium, high, critical" });
    if (!/^(detection|correlation):/m.test(text)) issues.push({ file: "", line: null, message: "neither detection nor correlation", hint: null });
    const title = /^title: (.+)$/m.exec(text)?.[1] ?? "Untitled";
    const word = /^level: (\w+)/m.exec(text)?.[1] ?? "medium";
    return { rules: issues.length ? [] : [{ ...this.world.rules[0], id: "draft", name: title, level: word, kind: text.includes("correlation:") ? "correlation" : "sigma", handling: { ...this.world.rules[0].handling, signal: /signal: true/.test(text) } }], issues };
  }

  replay({ text, from, to }) {
    const days = Math.max(1, Math.ceil((Date.parse(to) - Date.parse(from)) / (24 * HOUR)));
    const rule = this.world.rules.find((r) => text.includes(r.id)) ?? this.world.rules[0];
    const samples = this.world.findings.filter((f) => f.rule.id === rule.id).slice(0, 10);
    const scale = Math.min(1, text.length / 900);
    const per_day = Array.from({ length: days }, (_, i) => ({ day: iso(Math.floor(Date.parse(from) / (24 * HOUR)) * 24 * HOUR + i * 24 * HOUR), events: 180_000 + i * 900, findings: Math.round((40 + 30 * Math.sin(i)) * scale), alerts: Math.round((9 + 7 * Math.sin(i)) * scale) }));
    const sum = (key) => per_day.reduce((total, day) => total + day[key], 0);
    const counts = new Map();
    for (const f of samples) counts.set(keyOf(f.entity), { entity: f.entity, count: (counts.get(keyOf(f.entity))?.count ?? 0) + 7 });
    return { events: sum("events"), matches: sum("findings"), alerts: sum("alerts"), secs: 0.8 * days, truncated: days > 20, notes: days > 20 ? ["stopped after 120 s"] : [], per_day, entities: [...counts.values()].sort((a, b) => b.count - a.count), samples };
  }

  explain({ event_uid: uid, rule_id: id }) {
    const event = this.world.eventById(uid), rule = this.world.rules.find((r) => r.id === id);
    const matched = event?.finding_info?.rules?.includes(id) ?? false;
    const right = matched || { cloud: "API Activity", web: "HTTP Activity", auth: "Authentication" }[rule.on] === event?.class_name;
    const steps = rule.on === "cloud" ? [step("selection", "eventSource", "equals", [rule.call[1]], event?.api?.service?.name ? [event.api.service.name] : [], event?.api?.service?.name === rule.call[1]), step("selection", "eventName", "equals", [rule.call[0]], event?.api?.operation ? [event.api.operation] : [], event?.api?.operation === rule.call[0])]
      : [step("selection", "cs-method", "equals", ["GET", "POST"], event?.http_request ? [event.http_request.http_method] : [], !!event?.http_request), step("keywords", "cs-uri", "contains", [rule.sample ?? "root"], event?.http_request ? [event.http_request.url.path] : [], matched), step("filter", "src_endpoint.ip", "cidr", ["10.0.0.0/8", "192.168.0.0/16"], event?.src_endpoint?.ip ? [event.src_endpoint.ip] : [], false)];
    return { rule, matched, log_source_matches: right, steps, excepted_by: null, more: [] };
  }
}
