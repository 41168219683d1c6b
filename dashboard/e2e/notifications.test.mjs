// The browser's own pop-ups for new alerts. The browser's Notification is replaced by one that writes down what
// it is told, and the socket says what the test wants said; the rest is the page as it is.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ask, LIVE_MS_MAX, startBrowser, testPage, until } from "./browser.mjs";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

testPage(() => browser, "a new bad alert pops up once and leads to itself; signals and mild ones do not", "/alerts", async (page, context) => {
  const { items } = await until("an alert", async () => {
    const answer = await ask(page, "/alerts?limit=1");
    return answer.items.length > 0 && answer;
  });
  const [alert] = items;
  await context.addInitScript(() => {
    window.told = [];
    window.Notification = class {
      static permission = "default";
      static requestPermission = async () => (window.Notification.permission = "granted");
      constructor(title, options) {
        window.told.push({ title, ...options });
        window.lastNote = this;
      }
      close() {}
    };
  });
  const sockets = [];
  await context.routeWebSocket(/\/api\/v1\/live/, (ws) => void sockets.push(ws));
  await page.reload();
  await page.getByRole("button", { name: /^Browser notifications/ }).click();
  await until("the permission", async () => (await page.getByRole("button", { name: /^Browser notifications/ }).getAttribute("aria-pressed")) === "true");
  const say = (seq, change, created = true, handling = {}) => sockets.at(-1).send(JSON.stringify({ seq, topic: "alert", data: { alert: { ...alert, ...change, rule: { ...alert.rule, handling: { ...alert.rule.handling, ...handling } } }, created } }));
  await until("the socket", () => sockets.length > 0, LIVE_MS_MAX);
  say(1, { id: "mild", severity: "low" });
  say(2, { id: "old", severity: "critical" }, false);
  say(3, { id: "quiet", severity: "critical" }, true, { signal: true });
  say(4, { id: alert.id, severity: "critical", summary: "the one to tell" }, true, { signal: false });
  say(5, { id: "storm", severity: "critical" }, true, { signal: false });
  const told = await until("a pop-up", async () => {
    const list = await page.evaluate(() => window.told);
    return list.length > 0 && list;
  });
  assert.deepEqual(told, [{ title: `Critical: ${alert.rule.name}`, body: "the one to tell", tag: alert.id }]);
  await page.evaluate(() => window.lastNote.onclick());
  await page.waitForURL(new RegExp(`/alerts\\?.*id=${alert.id}`));
});
