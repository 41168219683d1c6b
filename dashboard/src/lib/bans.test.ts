import { describe, expect, it } from "vitest";
import { countdown, left, shownNet, sizeOf, worst } from "./bans";

const T = Date.parse("2026-11-21T10:00:00Z");
const at = (secs: number) => new Date(T + secs * 1000).toISOString();

const action = (state: "applied" | "failed" | "pending" | "trusted") => ({ name: "a", state });

describe("bans", () => {
  it("count down in a form that fits what is left", () => {
    expect(countdown(at(7), T)).toBe("0:07");
    expect(countdown(at(3 * 3600 + 7 * 60 + 42), T)).toBe("3:07:42");
    expect(countdown(at(6 * 86_400 + 4 * 3600 + 5), T)).toBe("6 d 4 h");
    expect(countdown(at(86_400), T)).toBe("1 d");
    expect(countdown(at(0), T)).toBe("");
    expect(countdown("no time", T)).toBe("");
  });

  it("know how much is left", () => {
    expect(left({ created_at: at(0), until: at(100) }, T + 25_000)).toBe(0.75);
    expect(left({ created_at: at(0), until: at(100) }, T + 200_000)).toBe(0);
    expect(left({ created_at: at(0), until: null }, T)).toBe(1);
    expect(left({ created_at: at(5), until: at(5) }, T)).toBe(0);
  });

  it("are shown as people write networks, with how many that are", () => {
    expect([shownNet("192.0.2.1/32"), shownNet("192.0.2.0/24"), shownNet("2001:db8::1/128"), shownNet("2001:db8::/64")]).toEqual(["192.0.2.1", "192.0.2.0/24", "2001:db8::1", "2001:db8::/64"]);
    expect(sizeOf({ cidr: "192.0.2.0/24", size: 256 })).toBe("256 addresses");
    expect(sizeOf({ cidr: "2001:db8::/48", size: 65_536 })).toBe("65,536 networks of /64");
  });

  it("look like the worst of their actions", () => {
    expect(worst([action("applied"), action("failed"), action("pending")])).toBe("failed");
    expect(worst([action("applied"), action("pending")])).toBe("pending");
    expect(worst([action("applied")])).toBe("applied");
    expect(worst([])).toBe("none");
  });
});
