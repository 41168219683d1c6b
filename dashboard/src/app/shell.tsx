import { Button } from "@/components/ui/button";
import { Kbd, Problem } from "@/components/ui/bits";
import { Mark } from "@/components/ui/brand";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "@/components/ui/menu";
import { Tooltip } from "@/components/ui/tooltip";
import { api, logout } from "@/lib/api";
import { cn } from "@/lib/cn";
import { GoContext, type Go } from "@/lib/go";
import { incidentCountsQuery } from "@/lib/incidents";
import { useKeys } from "@/lib/keys";
import { live } from "@/lib/live/store";
import { setPref, shownTheme } from "@/lib/prefs";
import { overviewQuery, queryClient, searchEvents } from "@/lib/queries";
import { session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Activity, Ban, BellRing, CircleHelp, Fingerprint, Globe, LayoutDashboard, LogOut, Moon, Search, Settings, ShieldCheck, Siren, Sun, TextSearch, User } from "lucide-react";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { ConnectionChip } from "./connection";
import { Help } from "./help";
import { useAlertNotifications } from "./notifications";

const Palette = lazy(() => import("./palette"));

const PAGES = [
  { to: "/", label: "Overview", icon: LayoutDashboard },
  { to: "/live", label: "Live", icon: Activity },
  { to: "/search", label: "Search", icon: TextSearch },
  { to: "/alerts", label: "Alerts", icon: BellRing },
  { to: "/incidents", label: "Incidents", icon: Siren },
  { to: "/entities", label: "Entities", icon: Fingerprint },
  { to: "/web", label: "Web", icon: Globe },
  { to: "/rules", label: "Rules", icon: ShieldCheck },
  { to: "/bans", label: "Bans", icon: Ban },
  { to: "/settings", label: "Settings", icon: Settings },
] as const;

function useGoImplementation(): Go {
  const navigate = useNavigate();
  return useMemo<Go>(
    () => ({
      overview: () => void navigate({ to: "/" }),
      live: (search = {}) => void navigate({ to: "/live", search }),
      search: (search) => void navigate({ to: "/search", search }),
      alerts: (search) => void navigate({ to: "/alerts", search }),
      incidents: (search) => void navigate({ to: "/incidents", search }),
      entity: ({ kind, value }) => void navigate({ to: "/entities/$kind/$value", params: { kind, value } }),
      entities: () => void navigate({ to: "/entities" }),
      rules: (search) => void navigate({ to: "/rules", search }),
      rule: (id, search = {}) => void navigate({ to: "/rules/$id", params: { id }, search }),
      newRule: () => void navigate({ to: "/rules/new" }),
      bans: (search = {}) => void navigate({ to: "/bans", search }),
      exceptions: () => void navigate({ to: "/exceptions" }),
      web: (search = {}) => void navigate({ to: "/web", search }),
      settings: (tab) => void navigate({ to: "/settings", search: { tab } }),
    }),
    [navigate],
  );
}

const SEED_EVENTS = 200;

/** The socket lives as long as somebody is logged in. */
function useLiveSocket(): void {
  useEffect(() => {
    live.onRefused = () => void api.get("/me").catch(() => undefined);
    live.start();
    // What came before the page was opened; without it the live list just starts empty.
    const stop = new AbortController();
    void searchEvents({ limit: SEED_EVENTS }, stop.signal).then((page) => live.seed(page.items), () => undefined);
    const wake = () => live.retryNow();
    window.addEventListener("online", wake);
    return () => {
      stop.abort();
      window.removeEventListener("online", wake);
      live.reset();
    };
  }, []);
}

export function Shell() {
  const go = useGoImplementation();
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  useLiveSocket();
  useIncidentCounts();
  useAlertNotifications(go);
  useKeys({ "g o": go.overview, "g l": () => go.live(), "g e": () => go.search({}), "g a": () => go.alerts({}), "g i": () => go.incidents({}), "g n": go.entities, "g r": () => go.rules({}), "g w": () => go.web(), "g b": () => go.bans(), "g s": () => go.settings(), "?": () => setHelp(true) });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      setPalette((open) => !open);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <GoContext value={go}>
      <a href="#main" className="sr-only focus:not-sr-only focus:fixed focus:z-50 focus:bg-panel focus:p-2">
        Skip to the page
      </a>
      <div className="flex h-dvh flex-col md:flex-row">
        <Nav />
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          <TopBar onPalette={() => setPalette(true)} onHelp={() => setHelp(true)} />
          <Notices />
          <main id="main" className="min-h-0 flex-1 overflow-y-auto">
            <Suspense fallback={null}>
              <Outlet />
            </Suspense>
          </main>
        </div>
        <BottomNav />
      </div>
      {palette && (
        <Suspense fallback={null}>
          <Palette onClose={() => setPalette(false)} />
        </Suspense>
      )}
      <Help open={help} onOpenChange={setHelp} />
    </GoContext>
  );
}

/** What waits for somebody, by page. */
function useBadges(): Partial<Record<string, number>> {
  const { data } = useQuery(overviewQuery);
  const { data: incidents } = useQuery(incidentCountsQuery);
  const stats = useStore(live.stats) ?? data;
  return { "/alerts": stats?.alerts_open, "/incidents": stats?.incidents_open ?? incidents?.open };
}

const COUNT_MS_MIN = 2000;

/** Counts anew soon after an incident came or changed, however many do. */
function useIncidentCounts(): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = live.incidents.subscribe(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void queryClient.invalidateQueries({ queryKey: incidentCountsQuery.queryKey });
      }, COUNT_MS_MIN);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, []);
}

function Nav() {
  const badges = useBadges();
  return (
    <nav aria-label="Pages" className="hidden w-14 shrink-0 flex-col border-r bg-panel md:flex 2xl:w-44">
      <Link to="/" className="flex h-12 items-center gap-2 px-3.5 text-text" aria-label="Erne, overview">
        <Mark />
        <span className="hidden text-base font-bold tracking-tight 2xl:inline">Erne</span>
      </Link>
      <ul className="flex flex-1 flex-col gap-0.5 px-2 py-2">
        {PAGES.map(({ to, label, icon: Icon }) => (
          <li key={to} className={cn(to === "/settings" && "mt-auto")}>
            <Tooltip text={label} side="right">
              <Link to={to} activeOptions={{ exact: to === "/", includeSearch: false }} className="group relative flex h-9 items-center gap-2.5 rounded-md px-3 text-text2 hover:bg-raised hover:text-text data-[status=active]:bg-accent-soft data-[status=active]:text-text" >
                <Icon className="size-4 shrink-0 group-data-[status=active]:text-accent" />
                <span className="font-medium max-2xl:sr-only">{label}</span>
                {!!badges[to] && <span data-testid={`badge${to.replace("/", "-")}`} className="absolute top-1.5 right-1.5 size-2 overflow-hidden rounded-full bg-sev-high text-[0.6rem] leading-4 font-bold text-transparent 2xl:static 2xl:ml-auto 2xl:size-auto 2xl:px-1.5 2xl:text-bg">{badges[to] > 999 ? "999+" : badges[to]}<span className="sr-only"> open</span></span>}
              </Link>
            </Tooltip>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function BottomNav() {
  return (
    <nav aria-label="Pages" className="flex shrink-0 border-t bg-panel pb-[env(safe-area-inset-bottom)] md:hidden">
      {PAGES.filter((page) => page.to !== "/entities" && page.to !== "/bans").map(({ to, label, icon: Icon }) => (
        <Link key={to} to={to} activeOptions={{ exact: to === "/", includeSearch: false }} className="flex h-13 min-w-0 flex-1 flex-col items-center justify-center gap-0.5 text-[0.6rem] text-text3 data-[status=active]:text-accent">
          <Icon className="size-4.5" />
          {label}
        </Link>
      ))}
    </nav>
  );
}

function TopBar({ onPalette, onHelp }: { onPalette: () => void; onHelp: () => void }) {
  const path = useRouterState({ select: (s) => s.location.pathname });
  const me = useStore(session);
  const theme = useStore(shownTheme);
  const title = path === "/exceptions" ? "Exceptions" : (PAGES.findLast((p) => p.to === path || (p.to !== "/" && path.startsWith(`${p.to}/`)))?.label ?? "Erne");
  useEffect(() => {
    document.title = title === "Erne" ? title : `${title} · Erne`;
  }, [title]);
  return (
    <header className="flex h-12 shrink-0 items-center gap-2 border-b bg-panel px-3 md:gap-3 md:px-4">
      <Mark className="size-6 md:hidden" />
      <h1 className="text-base font-semibold">{title}</h1>
      <ConnectionChip />
      <button type="button" onClick={onPalette} className="ml-auto hidden h-8 w-64 items-center gap-2 rounded-md border bg-bg px-2.5 text-text3 hover:border-line2 lg:flex">
        <Search className="size-3.5" />
        <span className="flex-1 text-left text-xs">Find an IP, a user, a page…</span>
        <Kbd>Ctrl K</Kbd>
      </button>
      <div className="ml-auto flex items-center gap-0.5 lg:ml-0">
        <Button variant="ghost" size="icon" className="lg:hidden" aria-label="Search and go to" onClick={onPalette}>
          <Search />
        </Button>
        <Button variant="ghost" size="icon" className="hidden sm:inline-flex" aria-label="Keyboard shortcuts" onClick={onHelp}>
          <CircleHelp />
        </Button>
        <Button variant="ghost" size="icon" aria-label={theme === "dark" ? "Light theme" : "Dark theme"} onClick={() => setPref("theme", theme === "dark" ? "light" : "dark")}>
          {theme === "dark" ? <Sun /> : <Moon />}
        </Button>
        <Menu
          trigger={
            <Button variant="ghost" size="icon" aria-label="Your account">
              <User />
            </Button>
          }
        >
          <MenuLabel>
            {me?.name} · {me?.role}
          </MenuLabel>
          <MenuSeparator />
          <MenuItem
            onSelect={() => {
              void logout().then(() => queryClient.clear());
            }}
          >
            <LogOut /> Log out
          </MenuItem>
        </Menu>
      </div>
    </header>
  );
}

/** What the server wants people to know: an absent GeoIP database, a growing lag. */
function Notices() {
  const { data } = useQuery(overviewQuery);
  const notices = useStore(live.stats)?.notices ?? data?.notices ?? [];
  const [hidden, setHidden] = useState("");
  const text = notices.join(" · ");
  if (!text || hidden === text) return null;
  return (
    <div role="status" className="flex items-center gap-3 border-b border-sev-medium/30 bg-sev-medium/10 px-4 py-1.5 text-xs text-text2">
      <span className="min-w-0 flex-1">{text}</span>
      <Button variant="ghost" size="sm" onClick={() => setHidden(text)}>
        Hide
      </Button>
    </div>
  );
}

export function NotFound() {
  return (
    <div className="flex h-dvh flex-col items-center justify-center gap-3">
      <Mark className="size-12" />
      <p className="text-base font-medium">There is no such page.</p>
      <Button asChild>
        <Link to="/">To the overview</Link>
      </Button>
    </div>
  );
}

export function PageFailed({ error }: { error: unknown }) {
  return (
    <div className="mx-auto max-w-xl p-6">
      <Problem error={error instanceof Error ? error : new Error("This page failed.")} retry={() => location.reload()} />
    </div>
  );
}

