import type { RulesSearch } from "@/lib/go";
import type { Rule, RuleIssue } from "@/lib/types";

/** Whether a rule is one of those that are looked for. All words must occur. */
export function isMatch(rule: Rule, search: RulesSearch): boolean {
  if (search.technique && !rule.techniques.includes(search.technique)) return false;
  if (search.kind && rule.kind !== search.kind) return false;
  if (search.level && rule.level !== search.level) return false;
  const signal = rule.handling?.signal ? "signal" : "";
  const text = [rule.name, rule.description, rule.level, rule.kind, rule.file, rule.id, signal, ...rule.techniques, ...rule.tactics].join(" ").toLowerCase();
  return (search.q ?? "").toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** What is left out of the text without harm: it loads all the same. */
export const isNotice = (issue: RuleIssue): boolean => issue.message.startsWith("ignored: ");

const UNIT_SECS: readonly (readonly [number, string])[] = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/** `5 minutes`: the largest unit that gives a whole number. */
export function duration(secs: number): string {
  const [size, unit] = UNIT_SECS.find(([unitSecs]) => secs >= unitSecs && secs % unitSecs === 0) ?? [1, "second"];
  const n = secs / size;
  return `${n} ${unit}${n === 1 ? "" : "s"}`;
}

/** A small map as `gte 5, field user`; what is nested deeper in JSON. */
const inline = (value: object): string =>
  Object.entries(value)
    .map(([key, one]) => `${key} ${typeof one === "object" ? JSON.stringify(one) : String(one)}`)
    .join(", ");

/** What a correlation says beyond its rules, as names and texts. */
export function correlationFacts(correlation: Readonly<Record<string, unknown>>): [string, string][] {
  return Object.entries(correlation)
    .filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0))
    .filter(([key]) => key !== "rules")
    .map(([key, value]) => {
      const words = key.replace(/_secs$/, "").replaceAll("_", " ");
      const name = `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`;
      if (key.endsWith("_secs") && typeof value === "number") return [name, duration(value)];
      if (Array.isArray(value)) return [name, value.map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one))).join(", ")];
      return [name, typeof value === "object" && value !== null ? inline(value) : String(value)];
    });
}

/** The address of a technique's page in MITRE's catalogue. */
export const attackUrl = (technique: string): string => `https://attack.mitre.org/techniques/${technique.replace(".", "/")}/`;

/** A name for the file that a text is downloaded as. */
export function fileName(text: string, fallback: string): string {
  const name = /^name:\s*['"]?([\w.-]+)/m.exec(text)?.[1] ?? /^title:\s*['"]?(.+?)['"]?\s*$/m.exec(text)?.[1] ?? fallback;
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_+|_+$/g, "");
  return `${plain.slice(0, 80) || "rule"}.yml`;
}

/** How much more or less a number is than what it is compared with. */
export function change(now: number, before: number): string {
  if (now === before) return "as many as now";
  if (before === 0) return `${now - before} more`;
  const percent = Math.round((100 * (now - before)) / before);
  return `${percent > 0 ? "+" : "−"}${Math.abs(percent)} % against ${before.toLocaleString("en-US")}`;
}
