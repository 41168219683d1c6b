import { queryOptions } from "@tanstack/react-query";
import { api } from "./api";
import type { Explained, Rule, TraceStep } from "./types";

export const explainQuery = (eventUid: string, ruleId: string) =>
  queryOptions({
    queryKey: ["explain", eventUid, ruleId],
    // Of a correlation there is one answer for each rule that it counts.
    queryFn: async ({ signal }): Promise<Explained[]> => {
      const { more = [], ...first } = await api.post<Explained & { more?: Explained[] }>("/explain", { event_uid: eventUid, rule_id: ruleId }, signal);
      return [first, ...more];
    },
    staleTime: 60_000,
  });

/** The steps of each selection, in the rule's order. A selection without a name is the condition itself. */
export function bySelection(steps: readonly TraceStep[]): [string, TraceStep[]][] {
  const groups = new Map<string, TraceStep[]>();
  for (const step of steps) groups.set(step.selection, [...(groups.get(step.selection) ?? []), step]);
  return [...groups];
}

/** The answer in one sentence. */
export function verdict(explained: Explained): string {
  if (explained.matched && explained.excepted_by) return "It matched, and an exception keeps the finding away.";
  if (explained.matched) return "It matched: the rule fired for this event.";
  if (!explained.log_source_matches) return "The rule does not look at events of this log source.";
  const held = explained.steps.filter((step) => step.matched).length;
  if (explained.steps.length === 0) return "It did not match.";
  return held === 0 ? "It did not match: none of its conditions holds." : `It did not match: ${held} of ${explained.steps.length} conditions hold, and that is not enough.`;
}

/** Rules that an event can be held against. Of a correlation, those that it counts are; a list has no conditions. */
export const explains = (rule: Rule): boolean => rule.kind !== "intel";

const CHOICES_MAX = 50;

/** Rules to choose from: those that matched first, then by name; all words of `text` must occur. */
export function choices(rules: readonly Rule[], matched: readonly string[], text: string): Rule[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = rules.filter((rule) => explains(rule) && words.every((word) => `${rule.name} ${rule.file} ${rule.techniques.join(" ")}`.toLowerCase().includes(word)));
  return fits.toSorted((a, b) => Number(matched.includes(b.id)) - Number(matched.includes(a.id)) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)).slice(0, CHOICES_MAX);
}
