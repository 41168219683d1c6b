import { whoAmI } from "@/lib/api";
import { session } from "@/lib/session";
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { LoginRoute } from "./routes/login";
import { alertsSearch, bansSearch, eventsSearch, incidentsSearch, liveSearch, parseSearch, ruleSearch, rulesSearch, safeReturn, stringifySearch, webSearch } from "./search";
import { NotFound, PageFailed, Shell } from "./shell";

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: PageFailed });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  component: LoginRoute,
  validateSearch: (raw): { return?: string | undefined } => (raw.return === undefined ? {} : { return: safeReturn(raw.return) }),
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  component: Shell,
  beforeLoad: async ({ location }) => {
    if (await whoAmI()) return;
    throw redirect({ to: "/login", search: location.href === "/" ? {} : { return: location.href } });
  },
});

const overview = createRoute({
  getParentRoute: () => inside,
  path: "/",
  component: lazyRouteComponent(() => import("./routes/overview"), "OverviewRoute"),
  validateSearch: (raw): { range?: string | undefined } => ({ range: typeof raw.range === "string" ? raw.range : undefined }),
});
const liveRoute = createRoute({ getParentRoute: () => inside, path: "/live", component: lazyRouteComponent(() => import("./routes/live"), "LiveRoute"), validateSearch: liveSearch });
const search = createRoute({ getParentRoute: () => inside, path: "/search", component: lazyRouteComponent(() => import("./routes/search"), "SearchRoute"), validateSearch: eventsSearch });
const alerts = createRoute({ getParentRoute: () => inside, path: "/alerts", component: lazyRouteComponent(() => import("./routes/alerts"), "AlertsRoute"), validateSearch: alertsSearch });
const incidents = createRoute({ getParentRoute: () => inside, path: "/incidents", component: lazyRouteComponent(() => import("./routes/incidents"), "IncidentsRoute"), validateSearch: incidentsSearch });
const entities = createRoute({ getParentRoute: () => inside, path: "/entities", component: lazyRouteComponent(() => import("./routes/entities"), "EntitiesRoute") });
const entity = createRoute({ getParentRoute: () => inside, path: "/entities/$kind/$value", component: lazyRouteComponent(() => import("./routes/entities"), "EntityRoute"), validateSearch: (raw): { event?: string | undefined } => ({ event: typeof raw.event === "string" ? raw.event : undefined }) });
const rules = createRoute({
  getParentRoute: () => inside,
  path: "/rules",
  component: lazyRouteComponent(() => import("./routes/rules"), "RulesRoute"),
  validateSearch: rulesSearch,
  // Links of earlier versions name the rule behind the question mark.
  beforeLoad: ({ location }) => {
    const id = parseSearch(location.searchStr).rule;
    if (typeof id === "string") throw redirect({ to: "/rules/$id", params: { id }, replace: true });
  },
});
const rule = createRoute({ getParentRoute: () => inside, path: "/rules/$id", component: lazyRouteComponent(() => import("./routes/rule"), "RuleRoute"), validateSearch: ruleSearch });
const newRule = createRoute({ getParentRoute: () => inside, path: "/rules/new", component: lazyRouteComponent(() => import("./routes/rule"), "NewRuleRoute"), validateSearch: ruleSearch });
const exceptions = createRoute({ getParentRoute: () => inside, path: "/exceptions", component: lazyRouteComponent(() => import("./routes/exceptions"), "ExceptionsRoute") });
const web = createRoute({ getParentRoute: () => inside, path: "/web", component: lazyRouteComponent(() => import("./routes/web"), "WebRoute"), validateSearch: webSearch });
const bans = createRoute({ getParentRoute: () => inside, path: "/bans", component: lazyRouteComponent(() => import("./routes/bans"), "BansRoute"), validateSearch: bansSearch });
const settings = createRoute({
  getParentRoute: () => inside,
  path: "/settings",
  component: lazyRouteComponent(() => import("./routes/settings"), "SettingsRoute"),
  validateSearch: (raw): { tab?: string | undefined } => ({ tab: typeof raw.tab === "string" ? raw.tab : undefined }),
});

export const router = createRouter({
  routeTree: root.addChildren([login, inside.addChildren([overview, liveRoute, search, alerts, incidents, entities, entity, rules, rule, newRule, exceptions, bans, web, settings])]),
  parseSearch,
  stringifySearch,
  defaultPreload: "intent",
  defaultErrorComponent: PageFailed,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** When the session ends, by logout or by a 401 from anywhere, the login page comes up and leads back here. */
export function watchSession(): void {
  session.subscribe(() => {
    const { href, pathname } = router.state.location;
    if (session.get() !== null || pathname === "/login") return;
    void router.navigate({ to: "/login", search: href === "/" ? {} : { return: href } });
  });
}
