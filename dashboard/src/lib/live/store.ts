// The one live socket of the page and everything that comes out of it. Views read slices of it through
// `useStore`; slices change at most once per animation frame. Every buffer here is bounded, also while the
// page is hidden and no frames are drawn.
import { haystackOf } from "../query/evaluate";
import { Store } from "../store";
import type { Alert, Finding, Incident, LiveMessage, OcsfEvent, Overview } from "../types";
import { Ring } from "./ring";

export const EVENTS_MAX = 2000;
export const FINDINGS_MAX = 200;
export const ALERTS_MAX = 200;
export const INCIDENTS_MAX = 200;
export const RATE_POINTS_MAX = 120;
export const BACKOFF_MS_MIN = 500;
export const BACKOFF_MS_MAX = 15_000;
/** Stats come every second: a socket that is silent for longer is dead, or waits for a sequence number
 * that a restarted server will not reach for a long time. */
export const SILENCE_MS_MAX = 10_000;
/** Ten drawings a second are enough for the eye and leave the machine to its work. */
export const FLUSH_MS_MIN = 100;

export type LiveRow = { key: number; kind: "event"; event: OcsfEvent; haystack: string } | { key: number; kind: "gap"; lost: number };
export interface LiveEvents {
  /** Oldest first. */
  rows: readonly LiveRow[];
  /** Events since the page was opened, also those that the ring has dropped. */
  total: number;
}
export interface LiveAlert {
  alert: Alert;
  created: boolean;
}
export interface LiveIncident {
  incident: Incident;
  created: boolean;
  /** When it came, in the browser's clock: an assignee changes without anything that counts up. */
  at: number;
}
export type ConnectionState = "connecting" | "open" | "waiting" | "stopped";
export interface Connection {
  state: ConnectionState;
  attempt: number;
  retryAt: number;
  /** Messages that the server could not hand over, since the page was opened. */
  skipped: number;
}

/** What the store needs of a browser; tests give their own. */
export interface LiveEnv {
  open: (url: string) => WebSocket;
  url: (after: number | undefined) => string;
  now: () => number;
  schedule: (run: () => void) => void;
  random: () => number;
}

export const browserEnv: LiveEnv = {
  open: (url) => new WebSocket(url),
  url: (after) => {
    const base = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live?topics=event,finding,alert,incident,ban,stats`;
    return after === undefined ? base : `${base}&after=${after}`;
  },
  now: () => Date.now(),
  schedule: (run) => {
    if (document.hidden) setTimeout(run, 500);
    else setTimeout(() => requestAnimationFrame(run), FLUSH_MS_MIN);
  },
  random: Math.random,
};

export class LiveStore {
  readonly connection = new Store<Connection>({ state: "stopped", attempt: 0, retryAt: 0, skipped: 0 });
  readonly events = new Store<LiveEvents>({ rows: [], total: 0 });
  readonly findings = new Store<readonly Finding[]>([]);
  readonly alerts = new Store<readonly LiveAlert[]>([]);
  readonly incidents = new Store<readonly LiveIncident[]>([]);
  /** How often a ban was made, ended or taken back. */
  readonly bans = new Store(0);
  readonly stats = new Store<Overview | null>(null);
  /** Events per second, one point a second, oldest first. */
  readonly rates = new Store<readonly number[]>([]);

  private eventRing = new Ring<LiveRow>(EVENTS_MAX);
  private findingRing = new Ring<Finding>(FINDINGS_MAX);
  private alertRing = new Ring<LiveAlert>(ALERTS_MAX);
  private bansChanged = 0;
  private incidentRing = new Ring<LiveIncident>(INCIDENTS_MAX);
  private rateRing = new Ring<number>(RATE_POINTS_MAX);
  private latestStats: Overview | null = null;
  private total = 0;
  private keys = 0;
  private dirty = new Set<string>();
  private flushing = false;
  private alertListeners = new Set<(message: LiveAlert) => void>();

  private socket: WebSocket | null = null;
  private lastSeq: number | undefined;
  private lastHeard = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setInterval> | undefined;
  /** Called when a socket closed before it opened: the session may be over. */
  onRefused: () => void = () => {};

  private env: LiveEnv;
  constructor(env: LiveEnv = browserEnv) {
    this.env = env;
  }

  start(): void {
    if (this.connection.get().state !== "stopped") return;
    this.connect();
    this.watchdog = setInterval(() => this.checkSilence(), 2000);
  }

  stop(): void {
    clearTimeout(this.timer);
    clearInterval(this.watchdog);
    this.drop();
    this.connection.update((c) => ({ ...c, state: "stopped", attempt: 0 }));
  }

  /** Forgets everything that was received: another user may log in on this page. */
  reset(): void {
    this.stop();
    for (const ring of [this.eventRing, this.findingRing, this.alertRing, this.incidentRing, this.rateRing]) ring.clear();
    this.latestStats = null;
    this.lastSeq = undefined;
    this.total = 0;
    for (const topic of ["event", "finding", "alert", "incident", "stats"]) this.dirty.add(topic);
    this.flush();
    this.connection.update((c) => ({ ...c, skipped: 0 }));
  }

  /** Puts events that were fetched before those that came over the socket, so that a quiet system shows some. */
  seed(newestFirst: readonly OcsfEvent[]): void {
    const rows = this.eventRing.toArray();
    const known = new Set(rows.map((row) => (row.kind === "event" ? row.event.metadata.uid : "")));
    const older = newestFirst.filter((event) => !known.has(event.metadata.uid)).toReversed();
    this.eventRing.clear();
    for (const event of older) this.eventRing.push(this.rowOf(event));
    for (const row of rows) this.eventRing.push(row);
    this.total += older.length;
    this.dirty.add("event");
    this.flush();
  }

  private rowOf(event: OcsfEvent): LiveRow {
    return { key: ++this.keys, kind: "event", event, haystack: haystackOf(event.raw_data ?? "") };
  }

  retryNow(): void {
    if (this.connection.get().state !== "waiting") return;
    clearTimeout(this.timer);
    this.connect();
  }

  /** Hears every alert message at once, drawn or not. */
  onAlert(listener: (message: LiveAlert) => void): () => void {
    this.alertListeners.add(listener);
    return () => this.alertListeners.delete(listener);
  }

  checkSilence(): void {
    if (this.connection.get().state !== "open" || this.env.now() - this.lastHeard < SILENCE_MS_MAX) return;
    this.lastSeq = undefined;
    this.drop();
    this.wait();
  }

  private connect(): void {
    this.drop();
    this.connection.update((c) => ({ ...c, state: "connecting" }));
    const socket = this.env.open(this.env.url(this.lastSeq));
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.lastHeard = this.env.now();
      this.connection.update((c) => ({ ...c, state: "open", attempt: 0 }));
    };
    socket.onmessage = (message) => this.receive(String(message.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      if (!opened) this.onRefused();
      this.wait();
    };
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  private wait(): void {
    this.socket = null;
    const attempt = this.connection.get().attempt + 1;
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (attempt - 1));
    const delay = ceiling * (0.5 + this.env.random() / 2);
    this.connection.update((c) => ({ ...c, state: "waiting", attempt, retryAt: this.env.now() + delay }));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), delay);
  }

  receive(text: string): void {
    this.lastHeard = this.env.now();
    let message: LiveMessage;
    try {
      message = JSON.parse(text) as LiveMessage;
    } catch {
      return this.gap(1);
    }
    if (typeof message.seq === "number") this.lastSeq = message.seq;
    this.take(message);
    if (this.flushing || this.dirty.size === 0) return;
    this.flushing = true;
    this.env.schedule(() => this.flush());
  }

  private take(message: LiveMessage): void {
    switch (message.topic) {
      case "event":
        this.total++;
        this.eventRing.push(this.rowOf(message.data));
        break;
      case "finding":
        this.findingRing.push(message.data);
        break;
      case "alert":
        this.alertRing.push(message.data);
        for (const listener of this.alertListeners) listener(message.data);
        break;
      case "incident":
        this.incidentRing.push({ ...message.data, at: this.env.now() });
        break;
      case "ban":
        this.bansChanged++;
        break;
      case "stats":
        this.latestStats = message.data;
        this.rateRing.push(message.data.events_per_second);
        break;
      case "gap":
        return this.gap(message.data.lost);
      default:
        return;
    }
    this.dirty.add(message.topic);
  }

  private gap(lost: number): void {
    this.eventRing.push({ key: ++this.keys, kind: "gap", lost });
    this.dirty.add("event");
    this.connection.update((c) => ({ ...c, skipped: c.skipped + lost }));
  }

  private flush(): void {
    this.flushing = false;
    if (this.dirty.has("event")) this.events.set({ rows: this.eventRing.toArray(), total: this.total });
    if (this.dirty.has("finding")) this.findings.set(this.findingRing.toArray());
    if (this.dirty.has("alert")) this.alerts.set(this.alertRing.toArray());
    if (this.dirty.has("incident")) this.incidents.set(this.incidentRing.toArray());
    if (this.dirty.has("ban")) this.bans.set(this.bansChanged);
    if (this.dirty.has("stats")) {
      this.stats.set(this.latestStats);
      this.rates.set(this.rateRing.toArray());
    }
    this.dirty.clear();
  }
}

export const live = new LiveStore();
