import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Alert, Incident, OcsfEvent, Overview } from "../types";
import { BACKOFF_MS_MAX, EVENTS_MAX, LiveStore, RATE_POINTS_MAX, SILENCE_MS_MAX, type LiveEnv } from "./store";

class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  constructor(readonly url: string) {}
  close() {
    this.closed = true;
  }
}

const event = (uid: string): OcsfEvent => ({ time: "2026-01-01T00:00:00Z", class_name: "HTTP Activity", severity: "low", severity_id: 2, metadata: { uid, log_name: "nginx" }, raw_data: `GET /${uid}` });
const stats = (rate: number) => ({ events: 1, events_per_second: rate }) as Overview;

function setup() {
  const sockets: FakeSocket[] = [];
  const pending: (() => void)[] = [];
  let now = 0;
  const env: LiveEnv = {
    open: (url) => {
      const socket = new FakeSocket(url);
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    url: (after) => (after === undefined ? "live" : `live?after=${after}`),
    now: () => now,
    schedule: (run) => pending.push(run),
    random: () => 1,
  };
  const store = new LiveStore(env);
  store.start();
  const last = () => sockets.at(-1)!;
  return {
    store,
    sockets,
    last,
    pending,
    draw: () => pending.splice(0).forEach((run) => run()),
    say: (seq: number, topic: string, data: unknown) => last().onmessage?.({ data: JSON.stringify({ seq, topic, data }) }),
    pass: (ms: number) => {
      now += ms;
      vi.advanceTimersByTime(ms);
    },
  };
}

describe("the live store", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("resumes after the last message that it saw", () => {
    const t = setup();
    expect(t.last().url).toBe("live");
    t.last().onopen?.();
    t.say(41, "event", event("a"));
    t.say(42, "stats", stats(3));
    t.last().onclose?.();
    expect(t.store.connection.get().state).toBe("waiting");
    t.pass(BACKOFF_MS_MAX);
    expect(t.last().url).toBe("live?after=42");
    expect(t.sockets).toHaveLength(2);
  });

  it("waits longer after every failure, but never longer than the bound", () => {
    const t = setup();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      t.last().onclose?.();
      const { retryAt } = t.store.connection.get();
      const at = retryAt;
      let waited = 0;
      const before = t.sockets.length;
      while (t.sockets.length === before) {
        t.pass(100);
        waited += 100;
      }
      waits.push(waited);
      expect(at).toBeGreaterThan(0);
    }
    expect(waits.slice(0, 4)).toEqual([500, 1000, 2000, 4000]);
    expect(Math.max(...waits)).toBe(BACKOFF_MS_MAX);
    t.last().onopen?.();
    expect(t.store.connection.get()).toMatchObject({ state: "open", attempt: 0 });
  });

  it("shows a gap where it happened and counts what was skipped", () => {
    const t = setup();
    t.say(1, "event", event("a"));
    t.say(50, "gap", { lost: 48 });
    t.say(51, "event", event("b"));
    t.draw();
    expect(t.store.events.get().rows.map((r) => (r.kind === "gap" ? r.lost : r.event.metadata.uid))).toEqual(["a", 48, "b"]);
    expect(t.store.connection.get().skipped).toBe(48);
    expect(t.store.events.get().total).toBe(2);
  });

  it("holds a bounded number of everything, drawn or not", () => {
    const t = setup();
    for (let i = 0; i < EVENTS_MAX + 500; i++) t.say(i, "event", event(`e${i}`));
    for (let i = 0; i < RATE_POINTS_MAX + 50; i++) t.say(9000 + i, "stats", stats(i));
    expect(t.pending).toHaveLength(1);
    t.draw();
    const { rows, total } = t.store.events.get();
    expect(rows).toHaveLength(EVENTS_MAX);
    expect(rows[0]).toMatchObject({ event: { metadata: { uid: "e500" } } });
    expect(total).toBe(EVENTS_MAX + 500);
    expect(t.store.rates.get()).toHaveLength(RATE_POINTS_MAX);
    expect(t.store.rates.get().at(-1)).toBe(RATE_POINTS_MAX + 49);
  });

  it("tells its readers once a drawing, however much came in", () => {
    const t = setup();
    const heard = vi.fn();
    t.store.events.subscribe(heard);
    for (let i = 0; i < 100; i++) t.say(i, "event", event(`e${i}`));
    expect(heard).not.toHaveBeenCalled();
    t.draw();
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it("starts anew, without a resume point, when the server has gone silent", () => {
    const t = setup();
    t.last().onopen?.();
    t.say(7, "stats", stats(1));
    t.pass(SILENCE_MS_MAX + 2000);
    expect(t.sockets[0]?.closed).toBe(true);
    t.pass(BACKOFF_MS_MAX);
    expect(t.last().url).toBe("live");
  });

  it("survives a message that is not JSON, and says that one is missing", () => {
    const t = setup();
    t.last().onmessage?.({ data: "<html>" });
    t.say(1, "event", event("a"));
    t.draw();
    expect(t.store.connection.get().skipped).toBe(1);
    expect(t.store.events.get().total).toBe(1);
  });

  it("hands alerts over at once, for notifications", () => {
    const t = setup();
    const heard = vi.fn();
    const stop = t.store.onAlert(heard);
    t.say(1, "alert", { alert: { id: "x" } as Alert, created: true });
    expect(heard).toHaveBeenCalledWith({ alert: { id: "x" }, created: true });
    stop();
    t.say(2, "alert", { alert: { id: "y" } as Alert, created: true });
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it("holds incidents with the time at which they came, and forgets them with the rest", () => {
    const t = setup();
    t.pass(1500);
    t.say(1, "incident", { incident: { id: "x" } as Incident, created: true });
    t.draw();
    expect(t.store.incidents.get()).toEqual([{ incident: { id: "x" }, created: true, at: 1500 }]);
    t.store.reset();
    expect(t.store.incidents.get()).toEqual([]);
  });

  it("is seeded with older events, without doubling those that it has", () => {
    const t = setup();
    t.say(1, "event", event("c"));
    t.store.seed([event("c"), event("b"), event("a")]);
    const uids = () => t.store.events.get().rows.map((r) => r.kind === "event" && r.event.metadata.uid);
    expect(uids()).toEqual(["a", "b", "c"]);
    t.draw();
    t.say(2, "event", event("d"));
    t.draw();
    expect(uids()).toEqual(["a", "b", "c", "d"]);
  });

  it("forgets everything when another user logs in", () => {
    const t = setup();
    t.say(5, "event", event("a"));
    t.draw();
    t.store.reset();
    expect(t.store.events.get()).toEqual({ rows: [], total: 0 });
    t.store.start();
    expect(t.last().url).toBe("live");
  });

  it("asks whether the session is over when a socket never opened", () => {
    const t = setup();
    t.store.onRefused = vi.fn();
    t.last().onclose?.();
    expect(t.store.onRefused).toHaveBeenCalledTimes(1);
    t.pass(BACKOFF_MS_MAX);
    t.last().onopen?.();
    t.last().onclose?.();
    expect(t.store.onRefused).toHaveBeenCalledTimes(1);
  });
});
