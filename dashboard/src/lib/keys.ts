import { useEffect, useRef } from "react";

const CHORD_MS_MAX = 1200;

/** Whether a key press belongs to a field, a menu or a dialog instead of to the page. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true;
  if (target?.closest?.("input, textarea, select, [contenteditable=true], [role=menu]")) return true;
  return document.querySelector("[role=dialog][data-blocks-keys], [cmdk-root]") !== null;
}

/** Binds keys of the page: `{"j": …, "g a": …}`. A chord is two keys within a second or so. */
export function useKeys(bindings: Record<string, (event: KeyboardEvent) => void>): void {
  const latest = useRef(bindings);
  useEffect(() => {
    latest.current = bindings;
  });
  useEffect(() => {
    let first = "";
    let pressed = 0;
    const onKey = (event: KeyboardEvent) => {
      if (isTaken(event)) return;
      const chord = first && Date.now() - pressed < CHORD_MS_MAX ? `${first} ${event.key}` : "";
      const hit = (chord && latest.current[chord]) || (first === "g" && chord ? undefined : latest.current[event.key]);
      first = event.key;
      pressed = Date.now();
      if (!hit) return;
      first = "";
      event.preventDefault();
      hit(event);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
