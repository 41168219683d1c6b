import type { Layer } from "@/components/ui/time-chart";

const NAMES: Record<string, string> = {
  sqli: "SQL injection", xss: "Cross-site scripting", nosql: "NoSQL injection", ldap: "LDAP injection", xpath: "XPath injection", command_injection: "Command injection",
  code_injection: "Code injection", template_injection: "Template injection", expression_language: "Expression language", xxe: "XML entities", ssi: "Server-side include",
  deserialisation: "Deserialisation", lookup: "Lookup (Log4Shell)", traversal: "Path traversal", file_inclusion: "File inclusion", ssrf: "Server-side request", upload: "Upload",
  open_redirect: "Open redirect", crlf: "Header injection", smuggling: "Request smuggling", scanner: "Scanner", leak: "Leak", prototype_pollution: "Prototype pollution", graphql: "GraphQL abuse",
};

/** How people call a kind of attack. */
export function kindName(kind: string): string {
  const name = NAMES[kind] ?? kind.replaceAll("_", " ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

const COLOURS = ["var(--sev-critical)", "var(--sev-high)", "var(--sev-medium)", "var(--heat)", "var(--sev-low)", "var(--accent)"];
const OTHER = "var(--sev-informational)";

/** Rows of (bucket, kind, count) as the layers of a stacked chart: the most frequent kinds, and the rest as one. */
export function layersOf(rows: readonly (readonly [string, string | null, number])[], from: string, secs: number, bucket: number): { starts: number[]; layers: Layer[] } {
  const first = Math.floor(Date.parse(from) / 1000 / bucket) * bucket;
  const starts = Array.from({ length: Math.floor(secs / bucket) + 1 }, (_, i) => first + i * bucket);
  const sums = new Map<string, number>();
  for (const [, kind, count] of rows) if (kind !== null) sums.set(kind, (sums.get(kind) ?? 0) + count);
  const kinds = [...sums].toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([kind]) => kind);
  const shown = kinds.slice(0, COLOURS.length);
  const values = new Map([...shown, ""].map((kind) => [kind, starts.map(() => 0)]));
  for (const [start, kind, count] of rows) {
    if (kind === null) continue;
    const at = Math.floor((Date.parse(start) / 1000 - first) / bucket);
    const into = values.get(shown.includes(kind) ? kind : "");
    if (into && into[at] !== undefined) into[at] += count;
  }
  const layers = shown.map((kind, i): Layer => ({ label: kindName(kind), values: values.get(kind) ?? [], color: COLOURS[i] ?? OTHER }));
  if (kinds.length > shown.length) layers.push({ label: "Others", values: values.get("") ?? [], color: OTHER });
  return { starts, layers };
}
