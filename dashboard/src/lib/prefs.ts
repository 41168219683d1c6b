import { Store } from "./store";

export type Theme = "dark" | "light" | "system";
export interface Prefs {
  theme: Theme;
  density: "compact" | "comfortable";
  clock: "local" | "utc";
  notify: boolean;
}

const KEY = "erne.prefs";
const DEFAULTS: Prefs = { theme: "dark", density: "compact", clock: "local", notify: false };

function read(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Prefs>) };
  } catch {
    return DEFAULTS;
  }
}

export const prefs = new Store<Prefs>(read());

/** What is really shown: `system` resolved. */
export const shownTheme = new Store<"dark" | "light">("dark");

const systemLight = () => window.matchMedia("(prefers-color-scheme: light)");

function apply(): void {
  const { theme, density } = prefs.get();
  const shown = theme === "system" ? (systemLight().matches ? "light" : "dark") : theme;
  const root = document.documentElement;
  root.classList.toggle("dark", shown === "dark");
  root.dataset.density = density;
  root.style.colorScheme = shown;
  shownTheme.set(shown);
}

export function setPref<K extends keyof Prefs>(key: K, value: Prefs[K]): void {
  prefs.update((old) => ({ ...old, [key]: value }));
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs.get()));
  } catch {
    // A browser that stores nothing still shows the page; the choice lasts until reload.
  }
}

export function startPrefs(): void {
  apply();
  prefs.subscribe(apply);
  systemLight().addEventListener("change", apply);
}
