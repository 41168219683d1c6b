// Incidents, entities, rules, exceptions and explanations in a real browser; see dashboard.test.mjs.
// The tests know nothing about the data but that alerts of single-event rules come in and make incidents.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";
import { ask, LIVE_MS_MAX, number, startBrowser, testPage, until, USER } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
const onPage = (name, path, body, options) => testPage(() => browser, name, path, body, options);

/** The browser itself reports the 404 by which the page learns that nothing is known about an entity. */
const forgive404 = (problems) => problems.splice(0, problems.length, ...problems.filter((problem) => !/404.*\/api\/v1\/entities\//.test(problem)));

/** An alert of a rule for single events about somebody whom a field names; an older one, whose events are stored for sure. */
const alertOfOneEvent = (page) =>
  until("an alert of a rule for single events", async () => {
    const { items } = await ask(page, "/alerts?limit=100");
    return items.findLast((alert) => alert.rule.kind === "sigma" && ["user", "ip", "host"].includes(alert.entity.kind));
  });

onPage("an incident is read, taken over, acknowledged and put back", "/incidents", async (page) => {
  await page.getByTestId("incident-row").first().waitFor({ timeout: LIVE_MS_MAX });
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/[?&]id=/);
  const id = new URL(page.url()).searchParams.get("id");
  const detail = page.getByTestId("incident-detail");
  await detail.getByTestId("incident-timeline").locator("li").first().waitFor();
  const { incident, alerts } = await ask(page, `/incidents/${id}`);
  await detail.getByRole("heading", { name: incident.title, exact: true }).waitFor();
  assert.ok(alerts.length > 0, "it has alerts");
  for (const [i, alert] of alerts.entries()) if (i > 0) assert.ok(alert.first_seen >= alerts[i - 1].first_seen, "oldest first");

  await detail.getByRole("button", { name: /^(Assign to me|Take over)$/ }).click();
  await until("the assignee", async () => (await detail.getByTestId("assignee").innerText()).includes(USER));
  await page.reload();
  await until("the assignee after a reload", async () => (await detail.getByTestId("assignee").innerText()).includes(USER));
  await detail.getByRole("button", { name: `Take it away from ${USER}` }).click();
  await detail.getByRole("button", { name: "Assign to me" }).waitFor();

  await page.locator(`[data-testid=incident-row][data-id="${id}"]`).waitFor();
  await page.keyboard.press("a");
  const toast = page.locator("[data-sonner-toast]").filter({ hasText: "acknowledged" });
  await toast.waitFor();
  assert.match(await toast.innerText(), new RegExp(`by ${USER} at \\d\\d:\\d\\d:\\d\\d`), "the toast names actor and time");
  await toast.getByRole("button", { name: "Undo" }).click();
  await page.getByText("1 incident put back").waitFor();
  await page.goto(`/incidents?state=all&id=${id}`);
  await until("the old state", async () => (await detail.getByTestId("incident-state").innerText()) === "open");
  assert.match(await detail.getByTestId("incident-history").innerText(), /set it to acknowledged/);

  await detail.getByRole("button", { name: "Events around it" }).click();
  await page.waitForURL(/\/search\?.*from=.+&to=/);
  await page.locator("[role=row][data-uid]").first().waitFor();
});

onPage("incidents are searched, counted and kept in the URL", "/incidents?state=all", async (page) => {
  await page.getByTestId("incident-row").first().waitFor({ timeout: LIVE_MS_MAX });
  await page.getByTestId("incidents-query").fill("no-incident-has-this-title");
  await page.getByText("No incident matches").waitFor();
  assert.match(page.url(), /q=no-incident-has-this-title/);
  await page.getByRole("button", { name: "Drop the filters" }).click();
  await page.getByTestId("incident-row").first().waitFor();
  const { total } = await ask(page, "/incidents?state=open&limit=1");
  assert.ok(total > 0, "some are open");
  await page.getByTestId("badge-incidents").first().waitFor();
  await page.getByRole("button", { name: "Period: Any time" }).click();
  await page.getByRole("menuitem", { name: "Last 7 days" }).click();
  await page.waitForURL(/range=7d/);
  await page.getByTestId("incident-row").first().waitFor();
});

onPage("several incidents are closed at once and put back with u", "/incidents", async (page) => {
  await page.getByTestId("incident-row").first().waitFor({ timeout: LIVE_MS_MAX });
  const wanted = Math.min(2, await page.getByTestId("incident-row").count());
  for (let i = 0; i < wanted; i++) {
    await page.keyboard.press("j");
    await page.keyboard.press("x");
  }
  assert.equal(number(await page.getByTestId("selected-count").innerText()), wanted);
  await page.keyboard.press("e");
  await page.locator("[data-sonner-toast]").filter({ hasText: /closed/ }).waitFor();
  await page.keyboard.press("u");
  await page.getByText(/put back/).waitFor();
});

onPage("an entity tells its story, and is reached from everywhere", "/", async (page, _context, problems) => {
  const { items } = await until("somebody with a risk score", async () => {
    const answer = await ask(page, "/entities?limit=5");
    return answer.items.length > 0 && answer;
  });
  for (const [i, row] of items.entries()) if (i > 0) assert.ok(row.risk <= items[i - 1].risk, "highest risk first");
  await page.getByTestId("top-risk").getByRole("button").first().click();
  await page.waitForURL(/\/entities\/[^/]+\/.+/);
  const value = await page.getByTestId("entity-value").innerText();
  const [kind] = new URL(page.url()).pathname.split("/").slice(2);
  for (const title of ["Risk, 7 days", "Incidents", "Alerts", "Recent events"]) await page.getByTestId("entity-page").getByRole("heading", { name: title, exact: true }).waitFor();
  const story = await ask(page, `/entities/${kind}/${encodeURIComponent(value)}`);
  assert.ok(story.alerts.length > 0, "it has alerts");
  await page.locator(".uplot canvas").first().waitFor();

  await page.goto("/");
  await page.getByTestId("card-events").waitFor();
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder(/An IP, a user/).fill("192.0.2.1");
  await page.getByRole("option", { name: /^Everything about 192.0.2.1/ }).click();
  await page.waitForURL(/\/entities\/ip\/192\.0\.2\.1$/);
  await page.getByTestId("entity-value").getByText("192.0.2.1").waitFor();
  await page.getByRole("heading", { name: "Recent events", exact: true }).waitFor();
  await page.goto("/entities");
  await page.getByRole("table", { name: "Entities" }).locator("[role=row][tabindex]").first().waitFor();
  forgive404(problems);
});

onPage("a hostile entity's name stays text and finds its way through the address", "/", async (page, _context, problems) => {
  const name = 'a/b?c=#%2e<img src=x onerror="window.hit=1">';
  await page.goto(`/entities/user/${encodeURIComponent(name)}`);
  await page.getByTestId("entity-value").waitFor();
  assert.equal(await page.getByTestId("entity-value").innerText(), name);
  await page.getByText("No alert, signal or incident was ever about it").waitFor();
  assert.equal(await page.evaluate(() => window.hit), undefined);
  forgive404(problems);
});

onPage("a rule shows its text, what it needs and whether it can match", "/rules", async (page) => {
  const alert = await alertOfOneEvent(page);
  await page.goto(`/rules?rule=${encodeURIComponent(alert.rule.id)}`);
  await page.waitForURL((url) => url.pathname === `/rules/${alert.rule.id}`);
  const rule = page.getByTestId("rule-page");
  await rule.getByRole("heading", { name: alert.rule.name, exact: true }).waitFor();
  await rule.getByTestId("can-match").getByText("It can match", { exact: true }).waitFor();
  const detail = await ask(page, `/rules/${encodeURIComponent(alert.rule.id)}`);
  const first = detail.text.split("\n").find((line) => line.startsWith("title:"));
  await rule.locator(".cm-content").getByText(first.slice(0, 20)).first().waitFor();
  assert.equal(await rule.locator(".cm-content").getAttribute("contenteditable"), "false", "it is for reading");
  for (const title of ["What it needs", "Recent alerts", "About"]) await rule.getByRole("heading", { name: title, exact: true }).waitFor();
  if (alert.rule.techniques.length > 0) assert.match(await rule.getByRole("link", { name: alert.rule.techniques[0] }).first().getAttribute("href"), /^https:\/\/attack\.mitre\.org\/techniques\/T/);
});

onPage("a change is checked while it is typed, replayed and downloaded, and changes nothing", "/", async (page) => {
  const alert = await alertOfOneEvent(page);
  const untouched = await ask(page, `/rules/${encodeURIComponent(alert.rule.id)}`);
  await page.goto(`/rules/${encodeURIComponent(alert.rule.id)}?view=try`);
  const issues = page.getByTestId("rule-issues");
  const settled = (wanted) => until(`${wanted} problems`, async () => (await issues.getAttribute("data-checking")) === "false" && wanted(Number(await issues.getAttribute("data-issues"))));
  await settled((n) => n === 0);

  const code = page.locator(".cm-content");
  await code.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("title: [nonsense");
  await settled((n) => n > 0);
  await page.reload();
  await code.getByText("nonsense").waitFor();
  await page.getByRole("button", { name: "Start over" }).click();
  await settled((n) => n === 0);
  assert.equal(await code.getByText("nonsense").count(), 0);

  await page.getByRole("region", { name: "Replay" }).getByRole("button", { name: "Replay" }).click();
  const result = page.getByTestId("replay-result");
  await result.waitFor({ timeout: 60_000 });
  await result.getByText("Nothing was stored and nobody was told.").waitFor();
  await page.getByTestId("replay-samples").getByRole("button").first().click();
  await page.getByTestId("replay-samples").getByTestId("why-table").or(page.getByTestId("replay-samples").locator("p")).first().waitFor();

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download .yml" }).click()]);
  assert.match(download.suggestedFilename(), /^[a-z0-9_]+\.yml$/);
  assert.equal(await readFile(await download.path(), "utf8"), untouched.text);
  assert.equal((await ask(page, `/rules/${encodeURIComponent(alert.rule.id)}`)).text, untouched.text);
});

onPage("an exception is made from an alert, listed and deleted", "/alerts", async (page) => {
  const alert = await alertOfOneEvent(page);
  const reason = `browser test ${Date.now()}`;
  await page.goto(`/alerts?state=all&signals=1&id=${alert.id}`);
  await page.getByTestId("alert-detail").getByRole("button", { name: "Make an exception" }).click();
  const form = page.getByTestId("exception-form");
  await form.getByTestId("exception-preview").getByText(alert.entity.value).waitFor();
  const make = form.getByRole("button", { name: "Make the exception" });
  assert.ok(await make.isDisabled(), "a reason is required");
  await form.getByRole("radio", { name: "Never" }).click();
  await form.getByTestId("exception-warning").waitFor();
  await form.getByRole("radio", { name: "1 day" }).click();
  await form.getByTestId("exception-warning").waitFor({ state: "detached" });
  await form.getByLabel("Why").fill(reason);
  await make.click();
  await page.locator("[data-sonner-toast]").filter({ hasText: "Exception made" }).waitFor();

  await page.goto("/exceptions");
  const row = page.getByTestId("exception").filter({ hasText: reason });
  await row.getByText(alert.rule.name).waitFor();
  assert.match(await row.innerText(), new RegExp(`by ${USER}`));
  const { items } = await ask(page, "/exceptions");
  const made = items.find((one) => one.reason === reason);
  assert.equal(made.rule_id, alert.rule.id);
  assert.deepEqual(Object.values(made.where), [alert.entity.value]);
  page.once("dialog", (dialog) => dialog.accept());
  await row.getByRole("button", { name: `Delete the exception: ${reason}` }).click();
  await row.waitFor({ state: "detached" });
});

onPage("an event explains why a rule fired, and why another did not", "/alerts", async (page) => {
  const alert = await alertOfOneEvent(page);
  await page.goto(`/alerts?state=all&signals=1&id=${alert.id}`);
  await page.getByTestId("related-events").locator("tbody tr").first().click();
  const sheet = page.getByRole("dialog");
  await sheet.getByRole("button", { name: `Why ${alert.rule.name} fired` }).click();
  await sheet.getByTestId("verdict").getByText("the rule fired for this event").waitFor();
  assert.ok((await sheet.getByTestId("trace").getByRole("img", { name: "holds", exact: true }).count()) > 0, "some condition holds");

  const { items: rules } = await ask(page, "/rules");
  const event = await page.evaluate((id) => fetch(`/api/v1/alerts/${id}`).then((answer) => answer.json()), alert.id);
  const fired = new Set(event.events.flatMap((one) => one.finding_info?.rules ?? []));
  const other = rules.find((rule) => rule.kind === "sigma" && !fired.has(rule.id));
  await sheet.getByRole("button", { name: "Another rule" }).click();
  await sheet.getByLabel("Find a rule").fill(other.name);
  await sheet.getByTestId("explain-choose").getByRole("button").filter({ hasText: other.name }).first().click();
  await sheet.getByTestId("verdict").getByText(/did not match|does not look at/).waitFor();
});

onPage("signals are shown on demand, and the matrix is downloaded for the Navigator", "/alerts", async (page) => {
  const toggle = page.getByRole("button", { name: "Signals" });
  await toggle.click();
  await page.waitForURL(/signals=1/);
  assert.equal(await toggle.getAttribute("aria-pressed"), "true");
  const all = await ask(page, "/alerts?signals=true&limit=1");
  const loud = await ask(page, "/alerts?limit=1");
  assert.ok(all.total >= loud.total);
  await page.goto("/");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Navigator" }).click()]);
  assert.match(download.suggestedFilename(), /\.json$/);
  const layer = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.equal(layer.domain, "enterprise-attack");
  assert.ok(layer.techniques.some((technique) => technique.score > 0), "something was seen");
});
