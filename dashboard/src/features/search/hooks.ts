import { useEffect, useState } from "react";

const SLOW_MS = 700;

/** Whether something has been going on for so long that one may want to stop it. */
export function useSlow(running: boolean): boolean {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    if (!running) return;
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => {
      clearTimeout(timer);
      setSlow(false);
    };
  }, [running]);
  return slow;
}

/** The time up to which is searched, and how to move it on. */
export function useNow(): [number, () => void] {
  const [now, setNow] = useState(() => Date.now());
  return [now, () => setNow(Date.now())];
}
