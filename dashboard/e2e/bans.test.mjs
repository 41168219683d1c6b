// Bans and trusts in a real browser, against a running server; see dashboard.test.mjs.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { LIVE_MS_MAX, startBrowser, testPage } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
const onPage = (name, path, body) => testPage(() => browser, name, path, body);

onPage("an address is banned by hand, counts down, and is let in again", "/bans", async (page) => {
  await page.getByRole("button", { name: "Ban…" }).click();
  const form = page.getByTestId("ban-form");
  await form.getByLabel("Address or network").fill("198.18.7.0/24");
  await form.getByText("256 addresses").waitFor();
  await form.getByLabel("Why").fill("a test of the page");
  await form.getByRole("button", { name: "Ban 198.18.7.0/24" }).click();
  const row = page.locator('[data-testid=ban][data-cidr="198.18.7.0/24"][data-state=active]');
  await row.waitFor({ timeout: LIVE_MS_MAX });
  assert.match(await row.getByTestId("countdown").textContent(), /^(3:59:|4:00:)/);
  await row.getByRole("button", { name: "Take back the ban of 198.18.7.0/24" }).click();
  await row.waitFor({ state: "detached", timeout: LIVE_MS_MAX });
  await page.getByRole("radio", { name: "All" }).click();
  await page.locator('[data-testid=ban][data-cidr="198.18.7.0/24"][data-state=undone]').first().waitFor();
});

onPage("what must not be banned is said before anybody tries", "/bans", async (page) => {
  await page.getByRole("button", { name: "Ban…" }).click();
  const form = page.getByTestId("ban-form");
  await form.getByLabel("Why").fill("never");
  await form.getByLabel("Address or network").fill("127.0.0.1");
  await form.getByTestId("ban-check").getByText(/your own address|trusted/).waitFor();
  assert.equal(await form.getByRole("button", { name: "Ban", exact: true }).isDisabled(), true);
});

onPage("a network is trusted, the bans inside it go, and it is trusted no longer", "/bans", async (page) => {
  page.on("dialog", (dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Ban…" }).click();
  const form = page.getByTestId("ban-form");
  await form.getByLabel("Address or network").fill("198.18.9.1");
  await form.getByText("1 address").waitFor();
  await form.getByLabel("Why").fill("to be trusted");
  await form.getByRole("button", { name: "Ban 198.18.9.1" }).click();
  await page.locator('[data-testid=ban][data-cidr="198.18.9.1/32"]').waitFor({ timeout: LIVE_MS_MAX });
  await page.getByRole("radio", { name: "Trusted" }).click();
  await page.getByRole("button", { name: "Trust…" }).click();
  await page.getByLabel("Address or network").fill("198.18.9.0/24");
  await page.getByLabel("Why").fill("our scanner");
  await page.getByRole("button", { name: "Trust it" }).click();
  const trust = page.getByTestId("trust").filter({ hasText: "198.18.9.0/24" });
  await trust.waitFor({ timeout: LIVE_MS_MAX });
  await page.getByRole("radio", { name: "Bans" }).click();
  await page.locator('[data-testid=ban][data-cidr="198.18.9.1/32"]').waitFor({ state: "detached", timeout: LIVE_MS_MAX });
  await page.getByRole("radio", { name: "Trusted" }).click();
  await trust.getByRole("button", { name: "No longer trust 198.18.9.0/24" }).click();
  await trust.waitFor({ state: "detached", timeout: LIVE_MS_MAX });
});

onPage("the source of an alert is banned from the alert", "/alerts?state=all", async (page) => {
  await page.getByTestId("alert-row").first().waitFor({ timeout: LIVE_MS_MAX });
  const button = page.getByTestId("ban-source");
  for (let n = 0; n < 20 && (await button.count()) === 0; n++) {
    await page.getByTestId("alert-row").nth(n).click();
    await page.getByTestId("alert-detail").waitFor();
  }
  await button.click();
  const form = page.getByTestId("ban-form");
  assert.notEqual(await form.getByLabel("Address or network").inputValue(), "");
  assert.notEqual(await form.getByLabel("Why").inputValue(), "");
});
