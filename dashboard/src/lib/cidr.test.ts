import { describe, expect, it } from "vitest";
import { inBlock } from "./cidr";

describe("address blocks", () => {
  it.each([
    ["192.0.2.77", "192.0.2.0/24", true],
    ["192.0.3.1", "192.0.2.0/24", false],
    ["192.0.2.1", "0.0.0.0/0", true],
    ["192.0.2.1", "192.0.2.1/32", true],
    ["2001:db8::1", "2001:db8::/32", true],
    ["2001:db9::1", "2001:db8::/32", false],
    ["::1", "::1/128", true],
    ["192.0.2.1", "192.0.2.0/33", false],
    ["192.0.2.1", "192.0.2.0", false],
    ["300.0.0.1", "0.0.0.0/0", false],
    ["not an address", "0.0.0.0/0", false],
    ["1::2::3", "::/0", false],
  ])("%s in %s: %s", (address, block, want) => expect(inBlock(address, block)).toBe(want));
});
