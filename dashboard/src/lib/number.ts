/** `1,204`, `48.2k`, `4.81M`: at most four digits, so that columns stay narrow. */
export function compact(n: number): string {
  if (!Number.isFinite(n)) return "–";
  const abs = Math.abs(n);
  if (abs < 10_000) return Math.round(n).toLocaleString("en-US");
  for (const [limit, unit] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]] as const) {
    if (abs >= limit) {
      const scaled = n / limit;
      return `${scaled.toFixed(Math.abs(scaled) < 10 ? 2 : Math.abs(scaled) < 100 ? 1 : 0)}${unit}`;
    }
  }
  return String(n);
}

export const exact = (n: number): string => (Number.isFinite(n) ? Math.round(n).toLocaleString("en-US") : "–");

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${n.toFixed(i === 0 || n >= 100 ? 0 : 1)} ${units[i]}`;
}

export const percent = (part: number, whole: number): string =>
  whole <= 0 ? "0 %" : `${((100 * part) / whole).toFixed(part / whole < 0.1 && part > 0 ? 1 : 0)} %`;

export const plural = (n: number, one: string, many = `${one}s`): string => `${exact(n)} ${n === 1 ? one : many}`;
