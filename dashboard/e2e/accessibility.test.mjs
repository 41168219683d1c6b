// axe-core over every page, dark and light: WCAG 2.2 A and AA.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";
import { ask, LIVE_MS_MAX, startBrowser, testPage, until } from "./browser.mjs";

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Some twenty pages, each read by axe: minutes on a busy machine. */
const TIMEOUT_MS = 400_000;
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

/** Each finding as rule, element and reason. */
async function violations(page) {
  await page.evaluate(source);
  const { violations: found } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), TAGS);
  return found.flatMap((violation) => violation.nodes.slice(0, 4).map((node) => `${violation.id}: ${node.target.join(" ")}: ${node.failureSummary.split("\n").slice(1, 2).join("").trim()}`));
}

for (const theme of ["dark", "light"])
  testPage(() => browser, `no page has an accessibility problem that axe can see: ${theme}`, "/", async (page, _context, complaints) => {
    await page.evaluate((chosen) => localStorage.setItem("erne.prefs", JSON.stringify({ theme: chosen })), theme);
    const first = async (path) => until(path, async () => (await ask(page, path)).items[0], LIVE_MS_MAX);
    const alert = await first("/alerts?limit=1");
    const incident = await first("/incidents?limit=1");
    const { entity } = await first("/entities?limit=1");
    const event = await first("/search?limit=1");
    const rule = encodeURIComponent(alert.rule.id);
    const pages = [
      ["/", "card-events"],
      ["/live", "live-filter"],
      ["/search?range=24h", "results"],
      [`/search?range=24h&event=${encodeURIComponent(event.metadata.uid)}`, "event-detail"],
      ["/search?range=15m&q=%22no+such+words+anywhere%22", "nothing"],
      ["/search?q=no.such.field:1", "search-error"],
      ["/search?view=sql", "sql"],
      ["/alerts?state=all", "alert-row"],
      [`/alerts?state=all&id=${alert.id}`, "alert-detail"],
      ["/incidents?state=all", "incident-row"],
      [`/incidents?state=all&id=${incident.id}`, "incident-detail"],
      ["/entities", null],
      [`/entities/${entity.kind}/${encodeURIComponent(entity.value)}`, "entity-page"],
      ["/rules", "rules-query"],
      [`/rules/${rule}`, "code"],
      [`/rules/${rule}?view=try`, "rule-editor"],
      ["/rules/new", "rule-editor"],
      ["/exceptions", null],
      ["/web", null],
      ["/web?view=agents", null],
      ["/web?view=profiles", "profile"],
      ["/web?view=profiles&id=default", null],
      ["/bans", null],
      ["/bans?tab=trust", null],
      ["/settings", null],
      ["/settings?tab=keys", null],
    ];
    // One line a problem, whatever the number of pages that have it.
    const problems = new Map();
    const note = async (where) => {
      for (const one of await violations(page)) problems.set(one, [...(problems.get(one) ?? []), where]);
    };
    for (const [path, testId] of pages) {
      await page.goto(path);
      if (testId) await page.getByTestId(testId).first().waitFor({ timeout: LIVE_MS_MAX });
      // Rows fade in; a colour on its way is not the colour that is read.
      await page.emulateMedia({ reducedMotion: "reduce" });
      await page.waitForTimeout(800);
      await note(path);
    }
    await page.goto(`/alerts?state=all&id=${alert.id}`);
    await page.getByRole("button", { name: "Make an exception" }).click();
    await page.getByTestId("exception-form").waitFor();
    await note("the exception form");
    await page.goto("/search?range=24h");
    await page.getByTestId("saved").click();
    await page.getByRole("menuitem", { name: "Save this search…" }).click();
    await page.getByRole("checkbox", { name: "Run it on a schedule and raise findings" }).click();
    await page.getByTestId("schedule").waitFor();
    await note("the form of a saved search");
    // The query that the server refuses is refused by design.
    complaints.splice(0, complaints.length, ...complaints.filter((one) => !/400.*\/api\/v1\/search/.test(one)));
    assert.deepEqual([...problems].map(([one, where]) => `${one} (${where.join(", ")})`), []);
  }, {}, TIMEOUT_MS);
