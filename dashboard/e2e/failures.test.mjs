// What the pages say when the server refuses, fails or takes its time. The failures are put between the page and
// the server; everything else is the server's own.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ask, LIVE_MS_MAX, startBrowser, testPage, until } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

/** The browser itself reports every failed request: those are what these tests are about. */
const onPage = (name, path, body) =>
  testPage(
    () => browser,
    name,
    path,
    async (page, context, problems) => {
      await body(page, context);
      problems.splice(0, problems.length, ...problems.filter((problem) => !problem.startsWith("console: Failed to load resource")));
    },
  );

const refuse = (page, url, status, title, detail) => page.route(url, (route) => route.fulfill({ status, contentType: "application/problem+json", body: JSON.stringify({ title, status, detail }) }));

onPage("a list that cannot be loaded says why, and comes when asked again", "/", async (page) => {
  const url = /\/api\/v1\/incidents\?.*limit=100/;
  await refuse(page, url, 503, "Unavailable", "The store is being repaired.");
  await page.goto("/incidents?state=all");
  await page.getByRole("alert").getByText("The store is being repaired.").waitFor({ timeout: LIVE_MS_MAX });
  await page.unroute(url);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByTestId("incident-row").first().waitFor({ timeout: LIVE_MS_MAX });
  assert.equal(await page.getByRole("alert").count(), 0);
});

onPage("an incident, a rule and a kind of entity that do not exist are named as such, with a way back", "/", async (page) => {
  await page.goto("/incidents?state=all&id=00000000-0000-0000-0000-000000000000");
  await page.getByRole("alert").getByText(/no such incident/i).waitFor();
  await page.getByRole("button", { name: "Back to the list" }).click();
  await page.waitForURL((url) => !url.searchParams.has("id"));
  await page.goto("/rules/there-is-no-such-rule");
  await page.getByRole("alert").getByText(/no such rule/i).waitFor();
  await page.getByRole("button", { name: "All rules" }).click();
  await page.waitForURL((url) => url.pathname === "/rules");
  await page.goto("/entities/gremlin/x");
  await page.getByRole("alert").getByText(/no (kind of|such) entity/i).waitFor();
  await page.goto("/there/is/no/such/page");
  await page.getByText("There is no such page.").waitFor();
});

onPage("a change of state that is refused is told and changes nothing", "/incidents", async (page) => {
  await page.getByTestId("incident-row").first().waitFor({ timeout: LIVE_MS_MAX });
  await refuse(page, "**/api/v1/incidents/state", 403, "Not allowed", "You may only read.");
  await page.keyboard.press("j");
  const row = page.locator("[data-testid=incident-row][data-cursor=true]");
  const id = await row.getAttribute("data-id");
  await page.keyboard.press("e");
  await page.locator("[data-sonner-toast]").filter({ hasText: "The state was not changed" }).getByText("You may only read.").waitFor();
  assert.equal((await ask(page, `/incidents/${id}`)).incident.state, "open");
});

onPage("a replay is stopped, waits its turn, and a text that cannot be checked says so", "/", async (page) => {
  const { items } = await until("an alert", async () => {
    const answer = await ask(page, "/alerts?limit=100");
    return answer.items.some((alert) => alert.rule.kind === "sigma") && answer;
  });
  const { rule } = items.findLast((alert) => alert.rule.kind === "sigma");
  await page.goto(`/rules/${encodeURIComponent(rule.id)}?view=try`);
  const panel = page.getByRole("region", { name: "Replay" });
  const button = panel.getByRole("button", { name: "Replay" });

  // One that never answers: it goes on until it is stopped.
  const url = "**/api/v1/rules/replay";
  let asked = 0;
  await page.route(url, () => void (asked += 1));
  await button.click();
  await panel.getByText(/Reading what is stored/).waitFor();
  await panel.getByRole("button", { name: "Stop" }).click();
  await panel.getByText("Would it have fired?").waitFor();
  assert.equal(asked, 1);
  await page.unroute(url);

  await refuse(page, url, 429, "Busy", "another replay is running; try again when it has ended");
  await button.click();
  await panel.getByRole("alert").getByText("another replay is running").waitFor();
  await page.unroute(url);
  await panel.getByRole("button", { name: "Try again" }).click();
  await page.getByTestId("replay-result").waitFor({ timeout: 60_000 });

  await refuse(page, "**/api/v1/rules/check", 413, "Too large", "300000 bytes of rules, at most 262144 are read");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("# more");
  await page.getByTestId("rule-issues").getByText("at most 262144 are read").waitFor({ timeout: LIVE_MS_MAX });
  await page.getByText("The text was changed since; replay again.").waitFor();
});

onPage("who may only read is shown no way to change", "/", async (page) => {
  await page.route("**/api/v1/me", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...(await answer.json()), role: "viewer" } });
  });
  await page.goto("/incidents?state=all");
  await page.getByTestId("incident-row").first().waitFor({ timeout: LIVE_MS_MAX });
  assert.equal(await page.getByRole("checkbox").count(), 0);
  await page.getByTestId("incident-row").first().getByRole("button").click();
  await page.getByTestId("incident-timeline").waitFor();
  for (const name of ["Acknowledge", "Close", "Assign to me", "Take over"]) assert.equal(await page.getByTestId("incident-detail").getByRole("button", { name, exact: true }).count(), 0, name);
  const { items } = await ask(page, "/alerts?limit=1");
  await page.goto(`/alerts?state=all&id=${items[0].id}`);
  await page.getByTestId("alert-detail").waitFor();
  assert.equal(await page.getByRole("button", { name: "Make an exception" }).count(), 0);
});
