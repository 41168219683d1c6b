// DEVELOPMENT TOOL ONLY: a stand-in for the Erne server that speaks docs/api.md with made-up traffic, so
// that the dashboard can be worked on without the Rust binary. Nothing here ships. Addresses are from the
// documentation ranges of RFC 5737.
//
//   node mock/server.mjs      MOCK_PORT (8440), ERNE_USER (admin), ERNE_PASSWORD (mock-only-password)
import { randomBytes } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { WebSocketServer } from "ws";
import { Finder } from "./search.mjs";
import { Stories } from "./stories.mjs";
import { World } from "./world.mjs";

const PORT = Number(process.env.MOCK_PORT ?? 8440);
const USER = process.env.ERNE_USER ?? "admin";
const PASSWORD = process.env.ERNE_PASSWORD ?? "mock-only-password";
const DIST = new URL("../dist/", import.meta.url).pathname;
const HELD_MAX = 4096;

const world = new World();
const stories = new Stories(world);
const finder = new Finder(world);
const overview = () => ({ ...world.overview(), incidents_open: stories.list(new URLSearchParams("state=open&limit=1")).total });
const sessions = new Map();
const users = new Map([[USER, { name: USER, role: "admin", created: new Date().toISOString(), password: PASSWORD }]]);
const keys = new Map();
const secrets = new Map();
const held = [];
const clients = new Set();
let seq = 0;

function publish(topic, data) {
  const message = { seq: ++seq, topic, data };
  held.push(message);
  if (held.length > HELD_MAX) held.shift();
  for (const client of clients) if (client.topics.has(topic)) client.socket.send(JSON.stringify(message));
}
world.onPublish = publish;

const send = (res, status, body, headers = {}) => {
  res.writeHead(status, { "content-type": status >= 400 ? "application/problem+json" : "application/json", "cache-control": "no-store", ...headers });
  res.end(body === undefined ? undefined : JSON.stringify(body));
};
const problem = (res, status, title, detail) => send(res, status, { type: "about:blank", title, status, detail });

function sessionOf(req) {
  const token = /erne_session=([0-9a-f]+)/.exec(req.headers.cookie ?? "")?.[1];
  return token ? sessions.get(token) : undefined;
}

async function readBody(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  try { return JSON.parse(text); } catch { return text; }
}

function listed(items, params, max = 100) {
  const limit = Math.min(Number(params.get("limit") ?? max), 1000);
  const start = Number(params.get("cursor") ?? 0);
  return { items: items.slice(start, start + limit), next_cursor: start + limit < items.length ? String(start + limit) : null, total: items.length };
}

const withoutPassword = ({ name, role, created }) => ({ name, role, created });

const routes = {
  "GET /overview": () => overview(),
  "GET /timeline": (p) => ({ items: world.timeline(Number(p.get("hours") ?? 24), Number(p.get("bucket_secs") ?? 300)) }),
  "GET /top/users": (p) => ({ items: world.top("user").slice(0, Number(p.get("limit") ?? 10)) }),
  "GET /top/ips": (p) => ({ items: world.top("ip").slice(0, Number(p.get("limit") ?? 10)) }),
  "GET /coverage": () => ({ items: world.coverage() }),
  "GET /markers": () => ({ items: world.markers() }),
  "GET /rules": () => ({ items: world.rules }),
  "GET /alerts": (p) => listed(world.searchAlerts(p), p, 50),
  "GET /findings": (p) => listed(world.findings.filter((f) => !p.get("alert") || f.alert === p.get("alert")), p),
  "GET /users": () => ({ items: [...users.values()].map(withoutPassword) }),
  "GET /keys": () => ({ items: [...keys.values()] }),
};

async function api(req, res, path, params) {
  if (req.method === "POST" && path === "/login") {
    const body = await readBody(req);
    const user = users.get(body.user);
    if (!user || user.password !== body.password) return problem(res, 401, "Wrong name or password", "The name or the password is wrong.");
    const token = randomBytes(16).toString("hex");
    const session = { name: user.name, role: user.role, csrf: randomBytes(12).toString("hex") };
    sessions.set(token, session);
    return send(res, 200, { user: { name: user.name, role: user.role }, csrf: session.csrf }, { "set-cookie": `erne_session=${token}; HttpOnly; SameSite=Strict; Path=/` });
  }
  const session = sessionOf(req);
  if (!session) return problem(res, 401, "Not logged in", "Log in first.");
  if (req.method !== "GET" && req.headers["x-csrf-token"] !== session.csrf) return problem(res, 403, "Wrong CSRF token", "Reload the page.");
  if (path === "/me" && req.method === "GET") return send(res, 200, session);
  if (path === "/logout") {
    sessions.delete(/erne_session=([0-9a-f]+)/.exec(req.headers.cookie)?.[1]);
    return send(res, 204);
  }
  if (path === "/me/password") {
    const body = await readBody(req);
    const user = users.get(session.name);
    if (body.current !== user.password) return problem(res, 403, "Wrong password", "The current password is wrong.");
    user.password = body.new;
    return send(res, 204);
  }
  if (path === "/alerts/state" && req.method === "POST") {
    const body = await readBody(req);
    return send(res, 200, { items: world.setState(body.ids, body.state, session.name, body.reason) });
  }
  if (path === "/keys" && req.method === "POST") {
    const body = await readBody(req);
    const id = randomBytes(6).toString("hex");
    const key = { id, name: body.name, scopes: body.scopes, created: new Date().toISOString(), created_by: session.name, last_used: null };
    keys.set(id, key);
    const secret = `erne_${randomBytes(20).toString("hex")}`;
    secrets.set(secret, id);
    return send(res, 201, { ...key, key: secret });
  }
  const [, kind, id] = path.split("/");
  if (kind === "keys" && id && req.method === "DELETE") {
    keys.delete(id);
    for (const [secret, owner] of secrets) if (owner === id) secrets.delete(secret);
    return send(res, 204);
  }
  if (kind === "users" && id && req.method === "PUT") {
    const body = await readBody(req);
    const name = decodeURIComponent(id);
    users.set(name, { created: new Date().toISOString(), ...users.get(name), name, ...body });
    return send(res, 200, withoutPassword(users.get(name)));
  }
  if (kind === "users" && id && req.method === "DELETE") { users.delete(decodeURIComponent(id)); return send(res, 204); }
  if (kind === "alerts" && id && req.method === "GET") {
    const detail = world.alertDetail(id);
    return detail ? send(res, 200, detail) : problem(res, 404, "No such alert", "There is no such alert.");
  }
  const found = await finder.answer(req.method, path, params, session, () => readBody(req));
  if (found?.problem) return send(res, found.status, { type: "about:blank", status: found.status, ...found.problem });
  if (found?.text !== undefined) return res.writeHead(200, { "content-type": "application/octet-stream", "content-disposition": `attachment; filename="events.${params.get("format")}"` }).end(found.text);
  if (found) return send(res, found.status ?? 200, found.body);
  if (kind === "events" && id && req.method === "GET") {
    const event = world.eventById(decodeURIComponent(id));
    return event ? send(res, 200, event) : problem(res, 404, "No such event", "There is no such event.");
  }
  const told = await stories.answer(req.method, path, params, session, req.method === "POST" ? () => readBody(req) : undefined);
  if (told) return told.status >= 400 ? problem(res, told.status, told.title, told.title) : send(res, told.status ?? 200, told.body);
  const route = routes[`${req.method} ${path}`];
  return route ? send(res, 200, route(params)) : problem(res, 404, "No such path", `There is no ${req.method} ${path}.`);
}

async function logs(req, res) {
  const key = req.headers.authorization?.replace("Bearer ", "");
  if (!secrets.has(key)) return problem(res, 401, "Not logged in", "Send an API key.");
  const body = await readBody(req);
  for (const log of [body].flat()) world.application(log);
  return send(res, 202, { status: "accepted", first_offset: 0, next_offset: 1, duplicate: false });
}

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".json": "application/json" };
function page(res, path) {
  const file = normalize(join(DIST, path));
  const hit = file.startsWith(DIST) && existsSync(file) && statSync(file).isFile();
  if (!hit && path.startsWith("/assets/")) return problem(res, 404, "No such file", path);
  const target = hit ? file : join(DIST, "index.html");
  if (!existsSync(target)) return problem(res, 404, "Not built", "Run npm run build, or use npm run dev.");
  res.writeHead(200, { "content-type": TYPES[extname(target)] ?? "application/octet-stream", "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:" });
  createReadStream(target).pipe(res);
}

const server = createServer((req, res) => {
  const url = new URL(req.url, "http://mock");
  if (url.pathname.startsWith("/api/v1/")) {
    api(req, res, url.pathname.slice(7), url.searchParams).catch((error) => problem(res, 500, "Mock failed", String(error)));
  } else if (url.pathname === "/api/logs") {
    logs(req, res).catch((error) => problem(res, 500, "Mock failed", String(error)));
  } else if (url.pathname === "/healthz") send(res, 200, { ok: true });
  else page(res, url.pathname);
});

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (req, socket, head) => {
  const url = new URL(req.url, "http://mock");
  if (url.pathname !== "/api/v1/live" || !sessionOf(req)) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
  sockets.handleUpgrade(req, socket, head, (ws) => {
    const topics = new Set((url.searchParams.get("topics") ?? "event,finding,alert,incident,stats").split(","));
    const client = { socket: ws, topics };
    const after = url.searchParams.get("after");
    if (after !== null) {
      const missed = held.filter((m) => m.seq > Number(after));
      const lost = (missed[0]?.seq ?? seq + 1) - Number(after) - 1;
      if (lost > 0) ws.send(JSON.stringify({ seq: Number(after) + lost, topic: "gap", data: { lost } }));
      for (const message of missed) if (topics.has(message.topic)) ws.send(JSON.stringify(message));
    }
    clients.add(client);
    ws.on("close", () => clients.delete(client));
  });
});

world.start();
server.listen(PORT, "127.0.0.1", () => console.log(`mock server (development only) on http://127.0.0.1:${PORT}  user ${USER}  password ${PASSWORD}`));
