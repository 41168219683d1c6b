// The search page in a real browser. Like the other tests it knows nothing about the data but that events come in.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ask, LIVE_MS_MAX, number, startBrowser, testPage, until } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
const onPage = (name, path, body, options) => testPage(() => browser, name, path, body, options);

const ROW = "[role=row][data-uid]";
const firstRow = (page) => page.locator(ROW).first().waitFor({ timeout: LIVE_MS_MAX });
const total = async (page) => number(await page.getByTestId("search-total").locator("b").innerText());
const type = async (page, text) => {
  await page.getByTestId("query-input").fill(text);
  await page.keyboard.press("Enter");
};
const q = (page) => new URL(page.url()).searchParams.get("q");
/** A problem that the test provoked is none of the page. */
const forgive = (problems, pattern) => problems.splice(0, problems.length, ...problems.filter((one) => !pattern.test(one)));
/** The texts of one column, counted from 0, of the rows in sight. */
const column = (page, n) => page.locator(ROW).evaluateAll((rows, at) => [...new Set(rows.map((row) => row.children[at].textContent.trim()))], n);

const heads = (page) => page.locator("[role=columnheader]").evaluateAll((list) => list.map((head) => head.title));

onPage("a query narrows list, total and bars, and stands in the URL", "/search?range=24h", async (page) => {
  await firstRow(page);
  const all = await total(page);
  await page.keyboard.press("/");
  await type(page, "severity:(high OR critical)");
  await page.waitForURL(/q=severity/);
  await until("the narrower total", async () => (await total(page)) < all);
  await until("only bad rows", async () => (await column(page, 1)).every((level) => level === "High" || level === "Critical"));
  const { total: told } = await ask(page, `/search?q=${encodeURIComponent(q(page))}&from=${new Date(Date.now() - 24 * 3600_000).toISOString()}&limit=1`);
  assert.ok(Math.abs(told.value - (await total(page))) <= Math.max(20, told.value * 0.2), "the page tells the server's total");
  const label = await page.getByTestId("histogram").getByRole("img").getAttribute("aria-label");
  assert.equal(number(/severity, ([\d,]+)/.exec(label)[1]), await total(page), "the bars add up to the total");
  assert.match(await page.getByTestId("bucket-width").innerText(), /^one bar is \d+ (second|minute|hour|day)/);
  await page.reload();
  await firstRow(page);
  assert.equal(await page.getByTestId("query-input").innerText(), "severity:(high OR critical)");
  await page.getByRole("button", { name: "Recent queries" }).click();
  await page.getByRole("menuitem", { name: "severity:(high OR critical)" }).waitFor();
});

onPage("a wrong query is underlined where it is wrong, with what to write instead", "/search", async (page, _context, problems) => {
  await firstRow(page);
  await page.getByTestId("query-input").fill("severity:high AND usr.name:alice");
  await page.keyboard.press("Escape");
  const mark = page.locator(".cm-lintRange-error");
  await mark.waitFor();
  await until("the mark on the wrong word", async () => (await mark.allInnerTexts()).join("").startsWith("usr.name"));
  await page.getByTestId("query-input").focus();
  await page.keyboard.press("Enter");
  const error = page.getByTestId("search-error");
  await error.waitFor();
  assert.match(await error.innerText(), /usr\.name/);
  assert.match(await error.innerText(), /did you mean/);
  await type(page, "severity:*");
  await firstRow(page);
  forgive(problems, /400.*\/api\/v1\/search/);
});

onPage("fields and their values are suggested", "/search?range=24h", async (page) => {
  await firstRow(page);
  await page.getByTestId("query-input").click();
  await page.keyboard.type("log_na");
  await page.locator(".cm-tooltip-autocomplete li").filter({ hasText: "metadata.log_name" }).waitFor();
  await page.keyboard.press("Tab");
  await until("the field", async () => (await page.getByTestId("query-input").innerText()).startsWith("metadata.log_name:"));
  await page.locator(".cm-tooltip-autocomplete li").first().waitFor();
  await page.waitForTimeout(200);
  await page.keyboard.press("Tab");
  const text = await page.getByTestId("query-input").innerText();
  assert.match(text, /^metadata\.log_name:\S+/);
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=metadata\.log_name/);
  const source = /:"?([^"]+?)"?\s*$/.exec(text)[1];
  await until(`only rows of ${source}`, async () => (await column(page, 2)).join() === source);
});

onPage("dragging over the bars sets the period, and zooming out widens it", "/search?range=24h", async (page) => {
  await firstRow(page);
  const chart = page.getByTestId("histogram").getByRole("img");
  await page.getByTestId("histogram").locator("canvas").waitFor();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.8, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.97, box.y + box.height / 2, { steps: 8 });
  await page.mouse.up();
  await page.waitForURL(/from=.+&to=.+/);
  const period = () => {
    const { searchParams } = new URL(page.url());
    return Date.parse(searchParams.get("to")) - Date.parse(searchParams.get("from"));
  };
  const zoomed = period();
  assert.ok(zoomed > 0 && zoomed < 8 * 3600_000, `${zoomed} ms`);
  await page.getByRole("button", { name: /^Zoom out/ }).click();
  await until("a wider period", () => period() > zoomed * 1.3);
  await page.goBack();
  await until("the period before", () => period() === zoomed);
});

onPage("a value is one click away from being asked for, or left out", "/search?range=24h", async (page) => {
  await firstRow(page);
  const row = page.locator(ROW).first();
  await row.hover();
  await row.getByRole("button", { name: /^Only metadata\.log_name = / }).click();
  await page.waitForURL(/q=metadata\.log_name/);
  const source = /:"?([^"]+?)"?$/.exec(q(page))[1];
  await until(`only rows of ${source}`, async () => (await column(page, 2)).join() === source);
  // The contrary replaces it.
  await page.locator(ROW).first().hover();
  await page.locator(ROW).first().getByRole("button", { name: /^Without metadata\.log_name = / }).click();
  await page.waitForURL(/q=NOT\+metadata\.log_name/);
  await until(`no row of ${source}`, async () => (await page.locator(ROW).count()) > 0 && !(await column(page, 2)).includes(source));
  // By the keyboard: the first row, the value under Severity.
  await page.keyboard.press("Escape");
  for (const key of ["j", "l", "+"]) await page.keyboard.press(key);
  await page.waitForURL(/AND\+severity/);
  assert.match(q(page), /^NOT metadata\.log_name:.+ AND severity:\w+$/);
  // From the sidebar.
  const values = page.getByTestId("values-severity").locator("li");
  await values.first().waitFor();
  await values.first().hover();
  await values.first().getByRole("button", { name: /^Without severity = / }).click();
  await page.waitForURL(/NOT\+severity/);
});

onPage("the choice of columns survives a reload and goes with the link", "/search?range=24h", async (page, context) => {
  await firstRow(page);
  const first = await heads(page);
  await page.getByLabel("Find a field").fill("class");
  const put = page.getByRole("button", { name: "Put class_name into the table" });
  await put.focus();
  await page.keyboard.press("Enter");
  await until("one column more", async () => (await heads(page)).length === first.length + 1);
  await page.getByRole("button", { name: "Column Severity" }).click();
  await page.getByRole("menuitem", { name: "Take out of the table" }).click();
  await until("one column less", async () => (await heads(page)).length === first.length);
  const grip = page.getByRole("separator", { name: "Width of Source" });
  const width = number(await grip.getAttribute("aria-valuenow"));
  await grip.focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
  assert.equal(number(await grip.getAttribute("aria-valuenow")), width + 48);
  const chosen = await heads(page);
  assert.ok(chosen.includes("class_name") && !chosen.includes("severity"));
  const link = page.url();
  assert.match(link, /columns=[^&]*class_name/);
  await page.goto("/search?range=24h");
  await firstRow(page);
  assert.deepEqual(await heads(page), chosen, "remembered without the link");
  assert.equal(number(await page.getByRole("separator", { name: "Width of Source" }).getAttribute("aria-valuenow")), width + 48);
  const other = await context.newPage();
  await other.goto(link);
  await firstRow(other);
  assert.deepEqual(await heads(other), chosen, "the link shows them");
});

onPage("an event opens as table, JSON and text, with what came around it and the alerts about it", "/search?range=24h&q=finding_info.rules:*", async (page) => {
  await firstRow(page);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  const sheet = page.getByRole("dialog");
  await sheet.getByText("class_name", { exact: true }).waitFor();
  const uid = new URL(page.url()).searchParams.get("event");
  const event = await ask(page, `/events/${encodeURIComponent(uid)}`);
  await sheet.getByRole("radio", { name: "JSON" }).click();
  assert.deepEqual(JSON.parse(await sheet.locator("pre").innerText()), event);
  await sheet.getByRole("radio", { name: "Raw text" }).click();
  if (event.raw_data) assert.equal((await sheet.locator("pre").innerText()).trim(), event.raw_data.trim());
  // Live events arrive after this one all the time: what counts is what the page itself was told.
  const asked = page.waitForResponse((answer) => answer.url().includes("/around?"));
  await sheet.getByRole("radio", { name: "Around" }).click();
  const told = (await (await asked).json()).items;
  const around = sheet.getByTestId("around").getByRole("listitem");
  await around.first().waitFor();
  await until("the events around it", async () => (await around.count()) === told.length);
  assert.equal(await sheet.getByTestId("around").locator("[aria-current=true]").count(), 1);
  if (told.length > 1) {
    await sheet.getByTestId("around").locator("button:not([disabled])").first().click();
    await until("another event", () => new URL(page.url()).searchParams.get("event") !== uid);
  }
  const linked = page.waitForResponse((answer) => answer.url().endsWith(`/events/${encodeURIComponent(uid)}/findings`));
  await page.goto(`/search?range=24h&event=${encodeURIComponent(uid)}`);
  const alerts = (await (await linked).json()).items;
  const related = sheet.getByTestId("related").getByRole("listitem");
  await until("the alerts about it", async () => (await related.count()) === Math.min(5, alerts.length));
  // A pivot of the detail, by the keyboard alone.
  await sheet.getByRole("radio", { name: "Table" }).click();
  const only = sheet.getByRole("button", { name: `Only class_name = ${event.class_name}` });
  await only.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=class_name/);
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "detached" });
  assert.equal(new URL(page.url()).searchParams.get("event"), null);
});

onPage("a search is saved, opened, put on a schedule and deleted", "/search?range=24h&q=severity:high", async (page) => {
  const name = `e2e ${Date.now()}`;
  await page.getByTestId("histogram").waitFor();
  await page.getByTestId("saved").click();
  await page.getByRole("menuitem", { name: "Save this search…" }).click();
  const form = page.getByTestId("saved-form");
  await form.getByLabel("Name").fill(name);
  await form.getByRole("checkbox", { name: "Run it on a schedule and raise findings" }).click();
  await form.getByLabel("At least").fill("3");
  await form.getByText("3 events or more raise a medium finding").waitFor();
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: `Saved search: ${name}`, exact: true }).waitFor();
  const { items } = await ask(page, "/searches");
  const kept = items.find((one) => one.name === name);
  assert.equal(kept.q, "severity:high");
  assert.equal(kept.schedule.at_least, 3);
  await page.goto("/search");
  await page.getByTestId("saved").click();
  await page.getByRole("menuitem", { name }).click();
  await until("the saved query", () => q(page) === "severity:high");
  assert.equal(new URL(page.url()).searchParams.get("saved"), kept.id);
  await type(page, "severity:low");
  await page.getByRole("button", { name: `Saved search: ${name}, changed` }).click();
  await page.getByRole("menuitem", { name: `Save the changes to ${name}` }).click();
  await until("the change", async () => (await ask(page, `/searches/${kept.id}`)).q === "severity:low");
  await page.getByTestId("saved").click();
  await page.getByRole("menuitem", { name: "All saved searches…" }).click();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await until("it to be gone", async () => !(await ask(page, "/searches")).items.some((one) => one.id === kept.id));
});

onPage("what is found can be downloaded", "/search?range=24h&q=severity:high", async (page) => {
  await page.getByTestId("histogram").waitFor();
  await page.getByTestId("export").click();
  const link = page.getByRole("menuitem", { name: "JSON lines, whole events" });
  const url = new URL(await link.getAttribute("href"), page.url());
  assert.equal(url.searchParams.get("q"), "severity:high");
  const answer = await page.evaluate((href) => fetch(href).then(async (got) => ({ status: got.status, text: await got.text(), how: got.headers.get("content-disposition") })), url.href);
  assert.equal(answer.status, 200);
  assert.match(answer.how ?? "", /attachment/);
  for (const line of answer.text.trim().split("\n").filter(Boolean).slice(0, 50)) assert.equal(JSON.parse(line).severity, "high");
  const csv = new URL(await page.getByRole("menuitem", { name: "CSV, shown columns" }).getAttribute("href"), page.url());
  assert.equal(csv.searchParams.get("columns"), "time,severity,metadata.log_name,actor.user.name,src_endpoint.ip,message,status");
});

onPage("without a hit it says what could be loosened", "/search?range=15m", async (page) => {
  await page.getByTestId("histogram").waitFor();
  await type(page, 'severity:* AND "no event has these words in it"');
  await page.getByText("No event matches in this period").waitFor();
  await page.getByRole("button", { name: 'Without "no event has these words in it"' }).click();
  await until("the other condition alone", () => q(page) === "severity:*");
  await firstRow(page);
});

onPage("new events join the list, and it can be held", "/search?range=15m&tail=1", async (page) => {
  await firstRow(page);
  const newest = () => page.locator(ROW).first().getAttribute("data-uid");
  const uid = await newest();
  await until("another newest event", async () => (await newest()) !== uid);
  await page.getByTestId("hold").click();
  const held = await newest();
  await until("events that wait", async () => number(await page.getByTestId("hold").innerText()) > 0);
  assert.equal(await newest(), held, "a held list stands still");
  await page.getByTestId("hold").click();
  await until("the list to go on", async () => (await newest()) !== held);
});

onPage("the list goes on while one scrolls, and draws only what is in sight", "/search?range=24h", async (page) => {
  await firstRow(page);
  if ((await total(page)) < 250) return;
  const table = page.getByTestId("results");
  const rows = async () => number(await table.getAttribute("aria-rowcount"));
  const few = await rows();
  await until("more rows", async () => {
    await page.getByTestId("scroller").evaluate((box) => box.scrollTo(0, box.scrollHeight));
    return (await rows()) > few + 100;
  });
  assert.ok((await page.locator(ROW).count()) < 120);
  const uids = await page.locator(ROW).evaluateAll((list) => list.map((row) => row.dataset.uid));
  assert.equal(new Set(uids).size, uids.length, "no event twice");
});

onPage("a long search can be stopped", "/search?range=15m", async (page, context, problems) => {
  await firstRow(page);
  await context.route(/\/api\/v1\/search$/, async (route) => {
    await new Promise((done) => setTimeout(done, 4000));
    await route.continue().catch(() => undefined);
  });
  await type(page, "severity:informational");
  await page.getByTestId("stop").click();
  await page.getByTestId("run").waitFor();
  await context.unroute(/\/api\/v1\/search$/);
  await page.getByTestId("run").click();
  await firstRow(page);
  forgive(problems, /ERR_ABORTED/);
});

onPage("SQL runs, explains itself and says what is wrong", "/search?view=sql", async (page, _context, problems) => {
  const input = page.getByTestId("sql-input");
  await input.waitFor();
  await input.fill("SELECT severity, count(*) AS n FROM events GROUP BY severity ORDER BY n DESC");
  await page.keyboard.press("Control+Enter");
  const result = page.getByRole("table", { name: "Result" });
  await result.waitFor({ timeout: LIVE_MS_MAX });
  assert.deepEqual(await result.getByRole("columnheader").allInnerTexts(), ["severity", "n"]);
  assert.ok((await result.locator("[role=rowgroup] [role=row]").count()) > 1);
  assert.match(new URL(page.url()).searchParams.get("sql"), /^SELECT severity/);
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByTestId("plan").waitFor();
  assert.match(await page.getByTestId("plan").innerText(), /events/i);
  await input.fill("DELETE FROM events");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByTestId("sql-error").waitFor();
  forgive(problems, /4\d\d.*\/api\/v1\/sql/);
});

onPage(
  "it works on a telephone",
  "/search?range=24h",
  async (page) => {
    await firstRow(page);
    await page.getByTestId("fields-button").click();
    const fields = page.getByRole("dialog");
    await fields.getByTestId("values-severity").locator("li").first().waitFor();
    await fields.getByRole("button", { name: /^Only severity = / }).first().click();
    await page.waitForURL(/q=severity/);
    await firstRow(page);
    await page.locator(ROW).first().click();
    await page.getByTestId("event-detail").waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 390, `${wide} px`);
  },
  { viewport: { width: 390, height: 844 }, hasTouch: true },
);
