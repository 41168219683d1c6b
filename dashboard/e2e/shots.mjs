// The pictures of the README, taken from a running server: run it against `erne demo`.
//   ERNE_URL=… ERNE_PASSWORD=… npm run shots        (SHOTS_DIR: ../docs/img, SETTLE_MS: 20000)
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch, loggedIn } from "./browser.mjs";

const dir = process.env.SHOTS_DIR ?? new URL("../../docs/img", import.meta.url).pathname;
const settle = Number(process.env.SETTLE_MS ?? 20_000);
await mkdir(dir, { recursive: true });
const browser = await launch();
const { page } = await loggedIn(browser, "/");
const shot = async (name) => {
  await page.screenshot({ path: join(dir, `${name}.png`) });
  console.log(`${dir}/${name}.png`);
};

await page.waitForTimeout(settle);
await shot("overview");
await page.getByRole("button", { name: "Light theme" }).click();
await page.waitForTimeout(2500);
await shot("overview-light");
await page.getByRole("button", { name: "Dark theme" }).click();

await page.goto("/live");
await page.waitForTimeout(settle / 2);
// With something suspicious in sight, if it comes soon, opened beside the list.
const suspicious = page.locator("[role=row][data-uid]").filter({ hasText: /High|Critical|Medium/ }).first();
if (!(await suspicious.waitFor({ timeout: settle }).then(() => true, () => false))) await page.getByRole("button", { name: "Info", exact: true }).click();
await page.keyboard.press("p");
await page.waitForTimeout(300);
const row = (await suspicious.count()) > 0 ? suspicious : page.locator("[role=row][data-uid]").nth(3);
await row.focus();
await page.keyboard.press("Enter");
await page.getByRole("dialog").waitFor();
await page.waitForTimeout(1000);
await shot("live");

await page.goto("/alerts?severity_min=high");
await page.getByTestId("alert-row").first().waitFor();
await page.keyboard.press("j");
await page.keyboard.press("j");
await page.keyboard.press("Enter");
await page.getByTestId("alert-detail").waitFor();
await page.waitForTimeout(2000);
await page.mouse.move(0, 0);
await shot("alerts");

// The incident with the most in it, the entity with the highest risk, and a rule that fired, being tried.
const ask = (path) => page.evaluate((url) => fetch(`/api/v1${url}`).then((answer) => answer.json()), path);
const incidents = (await ask("/incidents?state=open&limit=100")).items;
const richest = incidents.toSorted((a, b) => b.tactics.length - a.tactics.length || b.alert_count - a.alert_count)[0];
await page.goto(`/incidents?id=${richest.id}`);
await page.getByTestId("incident-timeline").waitFor();
await page.waitForTimeout(2000);
await shot("incidents");
const [{ entity }] = (await ask("/entities?limit=1")).items;
await page.goto(`/entities/${entity.kind}/${encodeURIComponent(entity.value)}`);
await page.locator(".uplot canvas").first().waitFor();
await page.waitForTimeout(2000);
await shot("entity");
const { rule } = (await ask("/alerts?limit=100")).items.findLast((alert) => alert.rule.kind === "sigma");
await page.goto(`/rules/${encodeURIComponent(rule.id)}?view=try&range=7d`);
await page.getByRole("region", { name: "Replay" }).getByRole("button", { name: "Replay" }).click();
await page.getByTestId("replay-result").waitFor({ timeout: 120_000 });
await page.waitForTimeout(1500);
await shot("rule");
await browser.close();
