// DEVELOPMENT TOOL ONLY: the made-up world behind mock/server.mjs. Seeded, so that two runs look alike.
import { createHash, randomUUID } from "node:crypto";
import { NAMES, PLACES, RULES, SERVICES, USERS } from "./catalogue.mjs";

const SEVERITIES = ["informational", "low", "medium", "high", "critical"];
const EVENTS_MAX = 8000;
const HOUR = 3600_000;

function random(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const rnd = random(20260707);
const pick = (list) => list[Math.floor(rnd() * list.length)];
const idOf = (...parts) => createHash("sha256").update(parts.join("\u0000")).digest("hex").slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
const iso = (ms) => new Date(ms).toISOString();

export class World {
  rules = RULES.map((r) => ({ false_positives: [], references: [], author: "Erne mock", file: `${r.kind}/${r.id}.yml`, handling: { signal: ["mock-enum", "mock-scanner", "mock-root-login"].includes(r.id), dedup_secs: 3600, alerts_per_hour: 1000, risk: null }, ...r }));
  events = [];
  findings = [];
  alerts = [];
  onPublish = () => {};
  /** The story book of mock/stories.mjs hears of every alert. */
  onAlert = () => {};
  minutes = new Map();
  counts = { user: new Map(), ip: new Map() };
  markerMap = new Map();
  totals = { events: 4_812_903, bytes: 2_911_330_112, quarantined: 17 };
  recent = [];

  start() {
    const now = Date.now();
    for (let ms = now - 24 * HOUR; ms < now - HOUR; ms += 60_000) this.fakeMinute(ms);
    for (let ms = now - HOUR; ms < now; ms += 33) this.emit(ms, false);
    for (let i = 0; i < 150; i++) this.attack(now - rnd() * 23 * HOUR, false);
    for (let i = 0; i < 46; i++) this.attack(now - rnd() * 58 * 60_000, false);
    this.alerts.sort((a, b) => (a.last_seen < b.last_seen ? 1 : -1));
    for (const alert of this.alerts.slice(24)) if (rnd() < 0.55) this.setState([alert.id], rnd() < 0.5 ? "closed" : "acknowledged", pick(["mira", "jonas"]), "Seen before, expected for this host", Date.parse(alert.last_seen) + 400_000);
    setInterval(() => this.tick(), 100);
    setInterval(() => this.onPublish("stats", this.overview()), 1000);
    setInterval(() => rnd() < 0.62 && this.attack(Date.now(), true), 2600);
  }

  tick() {
    const wave = 2 + 0.8 * Math.sin(Date.now() / 9000) + rnd() * 0.8;
    for (let i = 0; i < wave; i++) this.emit(Date.now() - Math.floor(rnd() * 90), true);
  }

  fakeMinute(ms) {
    const hour = new Date(ms).getUTCHours();
    const day = 0.55 + 0.45 * Math.sin(((hour - 7) / 24) * 2 * Math.PI);
    const burst = Math.sin(ms / 4.1e6) > 0.93 ? 1.9 : 1;
    const n = Math.round((1800 + rnd() * 500) * day * burst) + 400;
    const bucket = this.minute(ms);
    bucket.events += n;
    const bad = burst > 1 ? 6 : 1;
    const add = (severity, count) => { bucket.severities[severity] += count; };
    add("low", Math.round(rnd() * 9 * bad)); add("medium", Math.round(rnd() * 4 * bad));
    add("high", Math.round(rnd() * 1.3 * bad)); add("critical", rnd() < 0.04 * bad ? 1 : 0);
    add("informational", n);
    bucket.http_status["2xx"] += Math.round(n * 0.52); bucket.http_status["3xx"] += Math.round(n * 0.05);
    bucket.http_status["4xx"] += Math.round(n * (0.04 + 0.03 * bad * rnd())); bucket.http_status["5xx"] += Math.round(n * 0.008 * rnd());
  }

  minute(ms) {
    const start = Math.floor(ms / 60_000) * 60_000;
    let bucket = this.minutes.get(start);
    if (!bucket) {
      bucket = { events: 0, severities: Object.fromEntries(SEVERITIES.map((s) => [s, 0])), http_status: { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 } };
      this.minutes.set(start, bucket);
      if (this.minutes.size > 1500) this.minutes.delete(this.minutes.keys().next().value);
    }
    return bucket;
  }

  base(ms, place, source, format, className) {
    return {
      time: iso(ms), metadata: { uid: idOf("e", ms, rnd()), logged_time: iso(ms + 40), log_name: source, log_format: format, version: "1.6.0" },
      class_name: className, severity: "informational", severity_id: 1, status: "Success",
      src_endpoint: { ip: place.ip, ...(place.country ? { location: { country: place.country, city: place.city, lat: place.lat, long: place.long }, autonomous_system: { number: place.as, name: place.asn } } : {}) },
    };
  }

  normal(ms) {
    const user = pick(USERS), place = user.place, kind = rnd();
    if (kind < 0.55) {
      const path = pick(["/", "/api/orders", "/api/cart", "/static/app.css", "/login", "/search", "/api/users/me", "/checkout", "/img/hero.webp"]);
      const code = rnd() < 0.9 ? 200 : pick([301, 304, 404, 500, 403, 204]);
      return this.web(ms, place, "GET", path, code, "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/141.0");
    }
    if (kind < 0.8) return this.cloud(ms, place, user.name, pick([["DescribeInstances", "ec2.amazonaws.com"], ["GetObject", "s3.amazonaws.com"], ["ListBuckets", "s3.amazonaws.com"], ["AssumeRole", "sts.amazonaws.com"], ["PutMetricData", "monitoring.amazonaws.com"], ["Decrypt", "kms.amazonaws.com"]]), true);
    if (kind < 0.92) return this.auth(ms, place, user.name, true);
    const event = this.base(ms, place, pick(SERVICES), "app", "Application Log");
    event.message = pick(["order placed", "cache refreshed in 31 ms", "payment authorised", "worker 7 idle", "session renewed"]);
    event.metadata.product = { name: event.metadata.log_name };
    event.http_response = { code: 200 };
    event.raw_data = JSON.stringify({ service: event.metadata.log_name, status_code: 200, message: event.message, timestamp: event.time });
    return event;
  }

  application(log) {
    const now = Date.now(), event = this.base(now, {}, log.service, "app", "Application Log");
    delete event.src_endpoint.ip;
    Object.assign(event, { message: log.message, http_response: { code: log.status_code }, raw_data: JSON.stringify(log) });
    this.record(event, true);
  }

  web(ms, place, method, path, code, agent) {
    const event = this.base(ms, place, "nginx-edge", "access", "HTTP Activity");
    const [bare, query] = path.split("?");
    Object.assign(event, { activity_name: method === "GET" ? "Get" : "Post", status: code < 400 ? "Success" : "Failure",
      http_request: { http_method: method, url: { path: bare, ...(query ? { query_string: query } : {}), hostname: "shop.example.org" }, version: "1.1", user_agent: agent },
      http_response: { code, length: Math.round(200 + rnd() * 9000) }, user_agent: { name: agent.split("/")[0], device: agent.startsWith("Mozilla") ? "desktop" : "tool" } });
    event.raw_data = `${place.ip} - - [${new Date(ms).toUTCString()}] "${method} ${path} HTTP/1.1" ${code} ${event.http_response.length} "-" "${agent}"`;
    return event;
  }

  cloud(ms, place, name, [operation, service], ok) {
    const event = this.base(ms, place, "cloudtrail", "cloudtrail", "API Activity");
    Object.assign(event, { activity_name: /^(Get|List|Describe)/.test(operation) ? "Read" : "Update", status: ok ? "Success" : "Failure", ...(ok ? {} : { status_detail: "AccessDenied" }),
      actor: { user: { name, uid: `arn:aws:iam::111122223333:user/${name}`, type: "IAMUser" } }, api: { operation, service: { name: service } },
      cloud: { provider: "AWS", region: pick(["eu-central-1", "us-east-1"]), account: { uid: "111122223333" } } });
    event.raw_data = JSON.stringify({ eventVersion: "1.09", eventTime: event.time, eventName: operation, eventSource: service, sourceIPAddress: place.ip, userIdentity: { type: "IAMUser", userName: name }, ...(ok ? {} : { errorCode: "AccessDenied" }), eventID: randomUUID() });
    return event;
  }

  auth(ms, place, name, ok) {
    const event = this.base(ms, place, "bastion-01", "auth", "Authentication");
    Object.assign(event, { activity_name: "Logon", status: ok ? "Success" : "Failure", ...(ok ? {} : { status_detail: "invalid password" }), actor: { user: { name }, process: { name: "sshd", pid: 4000 + Math.floor(rnd() * 900) } }, device: { hostname: "bastion-01" } });
    event.raw_data = `${new Date(ms).toDateString().slice(4, 10)} ${event.time.slice(11, 19)} bastion-01 sshd[${event.actor.process.pid}]: ${ok ? "Accepted publickey" : "Failed password"} for ${name} from ${place.ip} port ${40000 + Math.floor(rnd() * 9999)} ssh2`;
    return event;
  }

  hostile(ms, rule, place, user) {
    const tool = pick(["sqlmap/1.8.4", "Nuclei/3.2", "curl/8.5.0", "python-requests/2.31", "masscan/1.3"]);
    if (rule.on === "web") return this.web(ms, place, pick(["GET", "POST"]), rule.sample ?? "/", pick([200, 403, 404, 500]), tool);
    if (rule.on === "cloud") return this.cloud(ms, place, user, rule.call, rnd() < 0.7);
    return this.auth(ms, place, user, rule.ok ?? false);
  }

  record(event, publish) {
    this.events.push(event);
    if (this.events.length > EVENTS_MAX) this.events.shift();
    this.totals.events++; this.totals.bytes += event.raw_data.length;
    const ms = Date.parse(event.time), bucket = this.minute(ms);
    bucket.events++; bucket.severities[event.severity]++;
    const code = event.http_response?.code;
    if (code) bucket.http_status[`${String(code)[0]}xx`]++;
    const bad = event.severity_id > 1;
    this.count("user", event.actor?.user?.name, event, bad); this.count("ip", event.src_endpoint.ip, event, bad);
    const loc = event.src_endpoint.location;
    if (loc) {
      const marker = this.markerMap.get(event.src_endpoint.ip) ?? { lat: loc.lat, long: loc.long, country: loc.country, city: loc.city, ip: event.src_endpoint.ip, events: 0, severity: "informational" };
      marker.events++; marker.last_seen = event.time;
      if (SEVERITIES.indexOf(event.severity) > SEVERITIES.indexOf(marker.severity)) marker.severity = event.severity;
      this.markerMap.set(marker.ip, marker);
    }
    if (publish) { this.recent.push(Date.now()); this.onPublish("event", event); }
  }

  count(kind, value, event, bad) {
    if (!value) return;
    const top = this.counts[kind].get(value) ?? { value, events: 0, suspicious: 0, high: 0, country: event.src_endpoint.location?.country ?? null, last_seen: event.time };
    top.events++; if (bad) top.suspicious++; if (event.severity_id >= 4) top.high++;
    top.last_seen = event.time; this.counts[kind].set(value, top);
  }

  emit(ms, publish) { this.record(this.normal(ms), publish); }

  attack(ms, publish) {
    const rule = this.weighted(), place = pick(PLACES.filter((p) => p.hostile)), user = rule.on === "auth" ? pick(NAMES) : pick(USERS).name;
    const size = rule.kind === "correlation" ? 6 + Math.floor(rnd() * 24) : 1 + Math.floor(rnd() * 3);
    const events = [];
    for (let i = 0; i < size; i++) {
      const event = this.hostile(ms - (size - i) * 800, rule, place, user);
      const id = SEVERITIES.indexOf(rule.kind === "correlation" ? "low" : rule.level);
      Object.assign(event, { severity: SEVERITIES[id], severity_id: id + 1, finding_info: { rules: [rule.id] } });
      if (rule.kind === "intel") event.enrichments = { threat_lists: ["known-scanners"] };
      events.push(event); this.record(event, publish);
    }
    this.find(rule, place, user, events, ms, publish);
  }

  weighted() {
    const draw = rnd();
    const level = draw < 0.34 ? "low" : draw < 0.68 ? "medium" : draw < 0.93 ? "high" : "critical";
    return pick(this.rules.filter((r) => r.level === level));
  }

  find(rule, place, user, events, ms, publish) {
    const entity = rule.on === "cloud" ? { kind: "user", value: user } : { kind: "ip", value: place.ip };
    const last = events.at(-1);
    const pub = { ...rule }; for (const key of ["on", "call", "sample", "ok", "say", "cond"]) delete pub[key];
    const summary = rule.say.replace("{who}", user).replace("{ip}", place.ip).replace("{n}", events.length).replace("{country}", place.country);
    const finding = { id: idOf("f", rule.id, last.metadata.uid), time: iso(ms), rule: pub, level: rule.level, entity, event_ids: events.map((e) => e.metadata.uid), positions: [], event_count: events.length,
      ...(rule.kind === "correlation" ? { window: [events[0].time, last.time] } : {}), explanation: { summary, conditions: rule.cond(last, events.length) },
      user: last.actor?.user?.name, source_ip: place.ip, event_name: last.api?.operation ?? last.http_request?.url?.path ?? "sshd logon", place: [place.lat, place.long, place.country],
      status: rule.kind === "correlation" && rnd() < 0.3 ? (rnd() < 0.7 ? "provisional" : "withdrawn") : "final", revision: rule.kind === "correlation" ? Math.floor(rnd() * 3) : 0 };
    const id = idOf("a", rule.id, entity.value, Math.floor(ms / HOUR));
    finding.alert = id;
    this.findings.unshift(finding); this.findings.length = Math.min(this.findings.length, 2000);
    let alert = this.alerts.find((a) => a.id === id);
    const created = !alert;
    if (alert) { alert.finding_count++; alert.event_count += events.length; alert.last_seen = finding.time > alert.last_seen ? finding.time : alert.last_seen; alert.summary = summary; }
    else { alert = { id, rule: pub, entity, severity: rule.level, state: "open", first_seen: finding.time, last_seen: finding.time, finding_count: 1, event_count: events.length, summary, user: finding.user, source_ip: place.ip, event_name: finding.event_name, place: finding.place, history: [] }; this.alerts.unshift(alert); }
    this.onAlert(alert, ms, publish);
    if (publish) { this.onPublish("finding", finding); this.onPublish("alert", { alert, created }); }
  }

  overview() {
    const now = Date.now(), day = now - 24 * HOUR, severities = {}, rules = new Map();
    this.recent = this.recent.filter((t) => t > now - 10_000);
    const found = this.findings.filter((f) => Date.parse(f.time) > day);
    for (const f of found) {
      severities[f.level] = (severities[f.level] ?? 0) + 1;
      const row = rules.get(f.rule.id) ?? [f.rule.id, f.rule.name, f.level, 0];
      row[3]++; rules.set(f.rule.id, row);
    }
    const http_status = {};
    let hour = 0;
    for (const [start, bucket] of this.minutes) {
      for (const [k, v] of Object.entries(bucket.http_status)) http_status[k] = (http_status[k] ?? 0) + v;
      if (start > now - HOUR) hour += bucket.events;
    }
    return { ...this.totals, events_last_hour: hour, findings: this.findings.length + 1840, findings_last_hour: found.filter((f) => Date.parse(f.time) > now - HOUR).length, alerts_open: this.alerts.filter((a) => a.state === "open").length,
      events_per_second: this.recent.length / 10, severities, top_rules: [...rules.values()].sort((a, b) => b[3] - a[3]).slice(0, 20), http_status, lag_records: Math.floor(rnd() * 9), lag_secs: Math.round(rnd() * 40) / 1000, notices: [] };
  }

  timeline(hours, bucketSecs) {
    const step = bucketSecs * 1000, end = Math.floor(Date.now() / step) * step, items = [];
    for (let start = end - hours * HOUR + step; start <= end; start += step) {
      const item = { start: iso(start), events: 0, severities: Object.fromEntries(SEVERITIES.map((s) => [s, 0])), http_status: { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 } };
      for (let m = start; m < start + step; m += 60_000) {
        const bucket = this.minutes.get(m); if (!bucket) continue;
        item.events += bucket.events;
        for (const group of ["severities", "http_status"]) for (const [k, v] of Object.entries(bucket[group])) item[group][k] += v;
      }
      items.push(item);
    }
    return items;
  }

  top(kind) { return [...this.counts[kind].values()].sort((a, b) => b.events - a.events || (a.value < b.value ? -1 : 1)); }
  markers() { return [...this.markerMap.values()]; }

  coverage() {
    const map = new Map();
    for (const rule of this.rules) for (const id of rule.techniques) {
      const row = map.get(id) ?? { id, name: TECHNIQUES[id] ?? id, tactics: rule.tactics, rules: 0, findings: 0 };
      row.rules++; map.set(id, row);
    }
    for (const f of this.findings) for (const id of f.rule.techniques) if (map.has(id)) map.get(id).findings++;
    return [...map.values()];
  }

  searchAlerts(p) {
    const states = p.getAll("state"), min = SEVERITIES.indexOf(p.get("severity_min") ?? "informational"), q = p.get("q")?.toLowerCase();
    return this.alerts.filter((a) => (p.get("signals") === "true" || !a.rule.handling.signal) && (!states.length || states.includes(a.state)) && SEVERITIES.indexOf(a.severity) >= min && (!q || JSON.stringify([a.rule.name, a.summary, a.entity.value, a.user, a.source_ip]).toLowerCase().includes(q))).sort((a, b) => (a.last_seen < b.last_seen ? 1 : -1));
  }

  alertDetail(id) {
    const alert = this.alerts.find((a) => a.id === id);
    if (!alert) return undefined;
    const findings = this.findings.filter((f) => f.alert === id).sort((a, b) => (a.time < b.time ? 1 : -1)).slice(0, 50);
    const ids = new Set(findings.flatMap((f) => f.event_ids));
    return { alert, findings, events: this.events.filter((e) => ids.has(e.metadata.uid)).reverse().slice(0, 100) };
  }

  eventById(uid) { return this.events.find((e) => e.metadata.uid === uid); }

  setState(ids, state, actor, reason, ms = Date.now()) {
    const items = this.alerts.filter((a) => ids.includes(a.id));
    for (const alert of items) {
      alert.state = state;
      alert.history.push({ state, actor, time: iso(ms), ...(reason ? { reason } : {}) });
      this.onPublish("alert", { alert, created: false });
    }
    return items;
  }
}

const TECHNIQUES = {
  T1595: "Active Scanning", "T1595.002": "Vulnerability Scanning", T1190: "Exploit Public-Facing Application", T1078: "Valid Accounts", "T1078.004": "Cloud Accounts", T1059: "Command and Scripting Interpreter", T1098: "Account Manipulation", "T1098.001": "Additional Cloud Credentials", "T1136.003": "Create Account: Cloud Account", "T1562.008": "Disable or Modify Cloud Logs", T1110: "Brute Force", "T1110.003": "Password Spraying", "T1552.005": "Cloud Instance Metadata API", T1087: "Account Discovery", "T1580": "Cloud Infrastructure Discovery", T1021: "Remote Services", T1530: "Data from Cloud Storage", T1071: "Application Layer Protocol", T1537: "Transfer Data to Cloud Account", T1485: "Data Destruction", T1496: "Resource Hijacking", T1505: "Server Software Component", "T1505.003": "Web Shell", T1083: "File and Directory Discovery", T1555: "Credentials from Password Stores", T1548: "Abuse Elevation Control Mechanism", T1490: "Inhibit System Recovery",
};
