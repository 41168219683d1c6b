// The dashboard in a real browser against a running server with traffic: `erne demo`, or the mock.
//   ERNE_URL=http://127.0.0.1:8440 ERNE_USER=admin ERNE_PASSWORD=… npm run e2e
// The tests know nothing about the data but that events come in and that at least one alert is open.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LIVE_MS_MAX, logIn, number, openPage, PASSWORD, startBrowser, testPage, until, USER } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
const onPage = (name, path, body, options) => testPage(() => browser, name, path, body, options);

test("a wrong password is refused, the right one leads back to where one was going", { timeout: 60_000 }, async () => {
  const { context, page } = await openPage(browser);
  await page.goto("/rules?q=a");
  await page.waitForURL(/\/login\?return=/);
  await logIn(page, `${PASSWORD}-not`);
  await page.getByRole("alert").getByText("Wrong name or password").waitFor();
  assert.match(await page.locator("body").innerText(), /printed it once/);
  await logIn(page);
  await page.waitForURL(/\/rules\?q=a$/);
  await page.getByRole("button", { name: "Your account" }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.waitForURL(/\/login/);
  await page.goto("/alerts");
  await page.waitForURL(/\/login\?return=/);
  await context.close();
});

onPage("the overview's numbers change while one looks", "/", async (page) => {
  await page.locator('[data-testid=connection][data-state="open"]').waitFor();
  const events = page.getByTestId("value-events");
  const first = number(await events.getAttribute("title"));
  assert.ok(first > 0, "there are events");
  await until("more events", async () => number(await events.getAttribute("title")) > first);
  for (const title of ["Traffic and severity", "Newest alerts", "Where from", "HTTP status", "Threats, 24 h", "Top risk", "ATT&CK", "Top users, 24 h", "Top addresses, 24 h"]) await page.getByRole("heading", { name: title }).waitFor();
  await page.locator(".uplot canvas").first().waitFor();
});

onPage("dragging over the timeline opens that period in Search", "/", async (page) => {
  const chart = page.getByRole("img", { name: "Events over time", exact: true });
  await page.locator(".uplot canvas").first().waitFor();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + box.height / 2, { steps: 8 });
  await page.mouse.up();
  await page.waitForURL(/\/search\?from=.+&to=.+/);
  const url = new URL(page.url());
  assert.ok(Date.parse(url.searchParams.get("from")) < Date.parse(url.searchParams.get("to")));
});

onPage("the live list pauses, counts, filters and stays small", "/live", async (page) => {
  const rows = page.locator('[role=row][data-uid]');
  await rows.first().waitFor({ timeout: LIVE_MS_MAX });
  await page.getByTestId("pause").click();
  const uids = () => rows.evaluateAll((list) => list.map((row) => row.dataset.uid).join());
  const frozen = await uids();
  const waiting = page.getByTestId("new-count");
  await until("events while paused", async () => number(await waiting.innerText()) > 0);
  assert.equal(await uids(), frozen, "a paused list stands still");

  await page.getByTestId("live-filter").fill("nothing-has-this-text-in-it");
  await page.getByText("None of the held events pass the filter").waitFor();
  await page.getByTestId("live-filter").fill("");
  await rows.first().waitFor();
  await rows.first().hover();
  await rows.first().getByRole("button", { name: /^Only metadata.log_name = / }).click();
  const source = /metadata\.log_name:(.+)/.exec(await page.getByTestId("live-filter").innerText())[1].replaceAll('"', "");
  const sources = () => rows.evaluateAll((list) => [...new Set(list.map((row) => row.children[2].textContent.trim()))].join());
  await until(`only rows of ${source}`, async () => (await sources()) === source);
  assert.ok(decodeURIComponent(page.url().replaceAll("+", " ")).includes(source), "the filter stands in the URL");

  await page.getByTestId("live-filter").fill("");
  await page.getByTestId("pause").click();
  await until("the list to move again", async () => (await uids()) !== frozen);
  assert.ok((await rows.count()) < 120, "only rows in sight are drawn");
});

onPage("an event opens with its fields and its raw text", "/live", async (page) => {
  await page.locator("[role=row][data-uid]").first().waitFor({ timeout: LIVE_MS_MAX });
  await page.getByTestId("pause").click();
  await page.locator("[role=row][data-uid]").first().focus();
  await page.keyboard.press("Enter");
  const sheet = page.getByRole("dialog");
  await sheet.getByText("class_name", { exact: true }).waitFor();
  await sheet.getByRole("radio", { name: "Raw text" }).click();
  await sheet.getByRole("radio", { name: "JSON" }).click();
  assert.ok(JSON.parse(await sheet.locator("pre").innerText()).metadata.uid);
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "detached" });
});

onPage("hostile text is shown, never run", "/settings?tab=keys", async (page, _context, problems) => {
  const marker = `inert-${Date.now()}`;
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill(marker);
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = (await page.getByTestId("new-key").locator("pre").innerText()).trim();
  assert.match(key, /^erne_/);
  await page.goto(`/live?q="${marker}"`);
  await page.getByText("Listening").or(page.getByText("None of the held")).waitFor();
  await page.locator('[data-testid=connection][data-state="open"]').waitFor();
  const message = `<img src=x onerror="window.hit=1"><script>window.hit=1</script> ${marker}`;
  const sent = await page.request.post("/api/logs", { headers: { Authorization: `Bearer ${key}` }, data: { service: "e2e<b>", status_code: 200, message, timestamp: new Date().toISOString() } });
  assert.equal(sent.status(), 202);
  const row = page.locator("[role=row][data-uid]").first();
  await row.waitFor({ timeout: LIVE_MS_MAX });
  assert.match(await row.innerText(), /<img src=x onerror/);
  await row.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("radio", { name: "Raw text" }).click();
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.locator("main img, [role=dialog] img").count(), 0);

  await page.goto("/settings?tab=keys");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: `Revoke ${marker}` }).click();
  await page.getByText(`Key ${marker} revoked`).waitFor();
  const refused = await page.request.post("/api/logs", { headers: { Authorization: `Bearer ${key}` }, data: { service: "a", status_code: 200, message: "b", timestamp: new Date().toISOString() } });
  assert.equal(refused.status(), 401);
  assert.deepEqual(problems, []);
});

onPage("the socket comes back by itself and resumes where it was", "/live", async (page, context) => {
  const urls = [];
  const pages = [];
  let heard = 0;
  await context.routeWebSocket(/\/api\/v1\/live/, (ws) => {
    urls.push(ws.url());
    pages.push(ws);
    const server = ws.connectToServer();
    server.onMessage((message) => {
      heard += 1;
      ws.send(message);
    });
  });
  await page.reload();
  await until("messages", () => heard > 3);
  await page.waitForTimeout(500);
  await pages.at(-1).close({ code: 1012 });
  await until("a second connection", () => urls.length >= 2);
  await page.locator('[data-testid=connection][data-state="open"]').waitFor();
  assert.equal(new URL(urls[0]).searchParams.get("after"), null);
  assert.ok(Number(new URL(urls.at(-1)).searchParams.get("after")) > 0, "the second one names the last message seen");
});

onPage("an alert is read, acknowledged and put back", "/alerts", async (page) => {
  const rows = page.getByTestId("alert-row");
  await rows.first().waitFor({ timeout: LIVE_MS_MAX });
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/[?&]id=/);
  const id = new URL(page.url()).searchParams.get("id");
  const detail = page.getByTestId("alert-detail");
  await detail.getByTestId("why-table").or(detail.getByText("Why it fired")).first().waitFor();
  assert.ok((await detail.getByTestId("why-table").locator("tbody tr").count()) > 0, "it says why it fired");
  await detail.getByRole("heading", { name: "Related events" }).waitFor();

  await page.keyboard.press("a");
  const toast = page.locator("[data-sonner-toast]").filter({ hasText: "acknowledged" });
  await toast.waitFor();
  assert.match(await toast.innerText(), new RegExp(`by ${USER} at \\d\\d:\\d\\d:\\d\\d`), "the toast names actor and time");
  await page.locator(`[data-testid=alert-row][data-id="${id}"]`).waitFor({ state: "detached" });
  await toast.getByRole("button", { name: "Undo" }).click();
  await page.getByText("1 alert put back").waitFor();
  await page.goto(`/alerts?state=all&id=${id}`);
  await until("the old state", async () => (await detail.getByTestId("alert-state").innerText()) === "open");
  assert.match(await detail.getByTestId("alert-history").innerText(), /set it to acknowledged/);
});

onPage("several alerts are closed at once and put back with u", "/alerts", async (page) => {
  await page.getByTestId("alert-row").first().waitFor({ timeout: LIVE_MS_MAX });
  const wanted = Math.min(2, await page.getByTestId("alert-row").count());
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

onPage("the keyboard reaches everything", "/", async (page) => {
  await page.getByTestId("card-events").waitFor();
  for (const [keys, path] of [["ga", "/alerts"], ["gl", "/live"], ["ge", "/search"], ["gi", "/incidents"], ["gn", "/entities"], ["gr", "/rules"], ["gs", "/settings"], ["go", "/"]]) {
    for (const key of keys) await page.keyboard.press(key);
    await page.waitForURL((url) => url.pathname === path);
  }
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Acknowledge").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder(/An IP, a user/).fill("192.0.2.1");
  await page.getByRole("option", { name: /^Events from/ }).click();
  await page.waitForURL(/\/search\?.*q=src_endpoint.ip%3A192.0.2.1/);
});

onPage("rules are listed and open", "/rules", async (page) => {
  const rows = page.getByRole("table", { name: "Rules" }).locator("[role=row][tabindex]");
  await rows.first().waitFor();
  const levels = await rows.evaluateAll((list) => list.map((row) => row.firstChild.textContent.trim()));
  const order = ["Critical", "High", "Medium", "Low", "Info"];
  assert.deepEqual(levels, levels.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)), "worst first");
  const name = (await rows.first().locator("[role=cell]").nth(1).innerText()).trim();
  await rows.first().click();
  await page.waitForURL(/\/rules\/.+/);
  await page.getByTestId("rule-page").getByRole("heading", { name, exact: true }).waitFor();
});

onPage("light and dark are chosen and remembered", "/", async (page) => {
  const isDark = () => page.evaluate(() => document.documentElement.classList.contains("dark"));
  assert.equal(await isDark(), true);
  await page.getByRole("button", { name: "Light theme" }).click();
  assert.equal(await isDark(), false);
  await page.reload();
  await page.getByTestId("card-events").waitFor();
  assert.equal(await isDark(), false);
});

onPage(
  "everything fits on a telephone",
  "/",
  async (page) => {
    for (const path of ["/", "/live", "/search", "/search?view=sql", "/alerts", "/incidents", "/entities", "/rules", "/rules/new", "/exceptions", "/bans", "/bans?tab=trust", "/settings?tab=send"]) {
      await page.goto(path);
      await page.getByRole("navigation", { name: "Pages" }).last().waitFor();
      await page.waitForTimeout(700);
      const wide = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, document.querySelector("#main").scrollWidth));
      assert.ok(wide <= 390, `${path} is ${wide} px wide`);
    }
    await page.goto("/alerts");
    await page.getByTestId("alert-row").first().getByRole("button").click();
    await page.getByTestId("alert-detail").getByRole("button", { name: "Back to the list" }).click();
    await page.getByTestId("alert-row").first().waitFor();
  },
  { viewport: { width: 390, height: 844 }, hasTouch: true },
);
