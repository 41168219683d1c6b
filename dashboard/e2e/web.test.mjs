// Web protection in a real browser: an agent is made on the page, asks the gateway as agents do, and its verdict is read.
import assert from "node:assert/strict";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { after, before } from "node:test";
import { ask, LIVE_MS_MAX, startBrowser, testPage, until, URL_BASE } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());
const onPage = (name, path, body) => testPage(() => browser, name, path, body);

const mark = randomBytes(4).toString("hex");

/** A request signed as the manual of agents says. */
async function signed(agent, path, body) {
  const text = JSON.stringify(body);
  const ts = Math.floor(Date.now() / 1000);
  const nonce = randomBytes(12).toString("hex");
  const message = ["POST", path, ts, nonce, createHash("sha256").update(text).digest("hex")].join("\n");
  const sig = createHmac("sha256", agent.secret).update(message).digest("hex");
  const answer = await fetch(URL_BASE + path, { method: "POST", headers: { "content-type": "application/json", authorization: `ERNE-HMAC-SHA256 id=${agent.id},ts=${ts},nonce=${nonce},sig=${sig}` }, body: text });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

const attack = (agent, ip = "203.0.113.77") => signed(agent, "/api/v1/inspect", { method: "GET", uri: `/orders/17/${mark}?q=1%27%20UNION%20SELECT%20password%20FROM%20users--`, headers: [["host", "shop.example"]], client_ip: ip });

let agent;
onPage("an agent is made, says hello and stands in the tree", "/web?view=agents", async (page) => {
  await page.getByRole("button", { name: "New agent" }).first().click();
  await page.getByLabel("Name").fill(`agent-${mark}`);
  await page.getByLabel("Application").fill(`shop-${mark}`);
  await page.getByRole("button", { name: "Make the agent" }).click();
  const lines = await page.getByTestId("agent-environment").innerText();
  agent = { id: /ERNE_AGENT_ID=(\S+)/.exec(lines)[1], secret: /ERNE_AGENT_SECRET=(\S+)/.exec(lines)[1] };
  await page.keyboard.press("Escape");
  const row = page.getByTestId("agent").filter({ hasText: `agent-${mark}` });
  await row.getByText("never seen").waitFor();

  const hello = await signed(agent, "/api/v1/agent/hello", { agent_version: "1.0", language: "python", framework: "flask", application: `shop-${mark}`, instance: `i-${mark}`, host: { hostname: "web-1", os: "Linux", arch: "x86_64", pid: 42, runtime: "CPython", runtime_version: "3.11", run_as: "www" }, profile_version: 0, counters: { requests: 12345, attacks: 3, blocked: 2, errors: 0, dropped: 0, queue: 0 } });
  assert.ok(hello.profile.version > 0);
  await row.getByText("online").first().waitFor({ timeout: LIVE_MS_MAX });
  await row.getByText("web-1:42").waitFor();
  await row.getByRole("button").click();
  await page.getByRole("dialog").getByText("12,345").waitFor();
});

onPage("an attack is told with its decoded value, and a false positive becomes an exclusion", "/web", async (page) => {
  const told = await attack(agent);
  assert.equal(told.verdict, "attack");
  const row = page.getByTestId("verdict").filter({ hasText: mark }).first();
  await row.waitFor({ timeout: LIVE_MS_MAX });
  await row.getByRole("button").first().click();
  await row.locator("pre").first().waitFor();
  assert.match(await row.locator("pre").first().innerText(), /UNION SELECT/i, "the value is decoded");

  await row.getByRole("button", { name: "False positive…" }).click();
  const dialog = page.getByRole("dialog");
  assert.equal(await dialog.getByLabel("Route").inputValue(), `/orders/*/${/^\d+$|^[0-9a-f]{8,}$/i.test(mark) ? "*" : mark}`);
  await dialog.getByLabel("Route").fill(`/orders/*/${mark}`);
  await dialog.getByRole("button", { name: "Add the exclusion" }).click();
  await page.getByText("Exclusion added").waitFor();
  await until("the finding no longer counts", async () => (await attack(agent)).verdict === "allow");
});

onPage("a profile is changed, compared and restored", "/web?view=profiles", async (page) => {
  await page.getByTestId("profile").filter({ hasText: "default" }).click();
  await page.getByRole("radio", { name: "Protection" }).click();
  await page.getByLabel("Why, for the history").fill(`protect ${mark}`);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Version \d+ holds$/).waitFor();
  const blocked = await until("the mode holds", async () => {
    const answer = await signed(agent, "/api/v1/inspect", { method: "GET", uri: "/?q=%3Cscript%3Ealert(1)%3C/script%3E", headers: [["host", "shop.example"]], client_ip: "203.0.113.78" });
    return answer.action === "block" && answer;
  });
  assert.equal(blocked.verdict, "attack");

  await page.getByRole("button", { name: "History" }).click();
  const history = page.getByRole("complementary", { name: "History" });
  await history.getByText(`protect ${mark}`).waitFor();
  await history.getByRole("button", { name: "Changes" }).first().click();
  await history.getByText('+ "protection"').waitFor();
  const { items } = await ask(page, "/profiles/default/versions");
  page.on("dialog", (dialog) => dialog.accept());
  await history.getByRole("button", { name: `Restore version ${items[1].version}` }).click();
  await until("the old mode", async () => (await ask(page, "/profiles/default")).profile.mode !== "protection");
});
