const groups = (half: string | undefined): string[] => (half ? half.split(":") : []);

/** An address as bits: 32 of IPv4 or 128 of IPv6; undefined for anything else. */
function bits(text: string): { value: bigint; length: 32 | 128 } | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    return parts.every((n) => n < 256) ? { value: parts.reduce((sum, n) => (sum << 8n) | BigInt(n), 0n), length: 32 } : undefined;
  }
  if (!/^[0-9a-f:]+$/i.test(text) || !text.includes(":")) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [groups(halves[0]), groups(halves[1])];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => "0"), ...tail];
  if (!all.every((g) => /^[0-9a-f]{1,4}$/i.test(g))) return undefined;
  return { value: all.reduce((sum, g) => (sum << 16n) | BigInt(`0x${g}`), 0n), length: 128 };
}

/** Whether an address lies in a block such as `192.0.2.0/24` or `2001:db8::/32`. */
export function inBlock(address: string, block: string): boolean {
  const [base, prefix] = block.split("/");
  const a = bits(address);
  const b = bits(base ?? "");
  const length = Number(prefix);
  if (!a || !b || a.length !== b.length || !/^\d{1,3}$/.test(prefix ?? "") || length > a.length) return false;
  const shift = BigInt(a.length - length);
  return a.value >> shift === b.value >> shift;
}
