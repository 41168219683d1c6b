import { session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { useState } from "react";
import { remembered, storageKey, type Remembered } from "./columns";

const read = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

/** What this reader chose on this page, kept in the browser. */
export function useRemembered(): [Remembered, (change: (old: Remembered) => Partial<Remembered>) => void] {
  const key = storageKey(useStore(session)?.name ?? "");
  const [value, setValue] = useState(() => remembered(read(key)));
  const change = (part: (old: Remembered) => Partial<Remembered>) =>
    setValue((old) => {
      const next = { ...old, ...part(old) };
      try {
        localStorage.setItem(key, JSON.stringify(next));
      } catch {
        // A browser that stores nothing still shows the page; the choice lasts until reload.
      }
      return next;
    });
  return [value, change];
}
