import { prefs } from "./prefs";

const pad = (n: number, width = 2) => String(n).padStart(width, "0");

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function parts(date: Date, utc: boolean): Parts {
  return utc
    ? { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(), hour: date.getUTCHours(), minute: date.getUTCMinutes(), second: date.getUTCSeconds(), ms: date.getUTCMilliseconds() }
    : { year: date.getFullYear(), month: date.getMonth() + 1, day: date.getDate(), hour: date.getHours(), minute: date.getMinutes(), second: date.getSeconds(), ms: date.getMilliseconds() };
}

const isUtc = () => prefs.get().clock === "utc";

/** `14:03:09`, or with milliseconds `14:03:09.042`. */
export function clock(time: string | number | Date, millis = false, utc = isUtc()): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "–";
  const p = parts(date, utc);
  return `${pad(p.hour)}:${pad(p.minute)}:${pad(p.second)}${millis ? `.${pad(p.ms, 3)}` : ""}`;
}

/** `2026-07-30 14:03:09`, with `Z` when shown in UTC. */
export function dateTime(time: string | number | Date, utc = isUtc()): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "–";
  const p = parts(date, utc);
  return `${p.year}-${pad(p.month)}-${pad(p.day)} ${clock(date, false, utc)}${utc ? "Z" : ""}`;
}

/** `3 s`, `12 min`, `5 h`, `2 d`: how long ago, in the largest unit that fits. */
export function ago(time: string | number | Date, now: number = Date.now()): string {
  const secs = Math.round((now - new Date(time).getTime()) / 1000);
  if (Number.isNaN(secs)) return "–";
  if (secs < 2) return "now";
  return span(secs);
}

/** The same as a phrase: `3 min ago`. */
export const since = (time: string | number | Date, now: number = Date.now()): string => {
  const told = ago(time, now);
  return told === "now" || told === "–" ? told : `${told} ago`;
};

export function span(secs: number): string {
  if (secs < 1) return `${Math.round(secs * 1000)} ms`;
  if (secs < 60) return `${Math.round(secs)} s`;
  if (secs < 3600) return `${Math.round(secs / 60)} min`;
  if (secs < 86_400) return `${Math.round(secs / 3600)} h`;
  return `${Math.round(secs / 86_400)} d`;
}

const UNIT_SECS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `15m`, `1h`, `7d` in seconds; undefined for anything else. */
export function rangeSecs(text: string | undefined): number | undefined {
  const match = /^(\d{1,4})([smhd])$/.exec(text ?? "");
  if (!match) return undefined;
  const secs = Number(match[1]) * (UNIT_SECS[match[2]!] ?? 0);
  return secs > 0 ? secs : undefined;
}

/** For `<input type="datetime-local">`, which knows no zone: the reader's own. */
export function toLocalInput(time: string | undefined): string {
  if (!time) return "";
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "";
  const p = parts(date, false);
  return `${p.year}-${pad(p.month)}-${pad(p.day)}T${pad(p.hour)}:${pad(p.minute)}:${pad(p.second)}`;
}

export function fromLocalInput(text: string): string | undefined {
  const date = new Date(text);
  return text === "" || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
