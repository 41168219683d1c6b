import { Store } from "./store";
import type { Me, Role } from "./types";

/** Who is logged in: undefined while not asked yet, null when nobody. */
export const session = new Store<Me | null | undefined>(undefined);

const RANK: Record<Role, number> = { viewer: 0, analyst: 1, admin: 2 };
export const may = (me: Me | null | undefined, role: Role): boolean => !!me && RANK[me.role] >= RANK[role];
