// What the end-to-end tests share: a browser, a logged-in page, and a list of what went wrong on it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chromium } from "playwright-core";

export const URL_BASE = process.env.ERNE_URL ?? "http://127.0.0.1:8440";
export const USER = process.env.ERNE_USER ?? "admin";
export const PASSWORD = process.env.ERNE_PASSWORD ?? "";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const launch = () => chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });

/** A page of its own context. `problems` collects console errors, exceptions and requests to other hosts. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1600, height: 1000 }, baseURL: URL_BASE, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(`console: ${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => problems.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith("http") && host !== new URL(URL_BASE).host) problems.push(`request to another host: ${request.url()}`);
  });
  return { context, page, problems };
}

export async function logIn(page, password = PASSWORD) {
  await page.getByLabel("Name").fill(USER);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

export async function loggedIn(browser, path = "/", options = {}) {
  const opened = await openPage(browser, options);
  await opened.page.goto(path);
  await logIn(opened.page);
  await opened.page.locator("#main").waitFor();
  // The browser itself reports the 401 by which the page learns that nobody is logged in yet.
  opened.problems.splice(0, opened.problems.length, ...opened.problems.filter((p) => !/401.*\/api\/v1\/me$/.test(p)));
  return opened;
}

export const LIVE_MS_MAX = 30_000;

export async function startBrowser() {
  assert.ok(PASSWORD, "set ERNE_PASSWORD");
  return launch();
}

/** Runs `body` on a logged-in page and fails when the page itself complained. */
export const testPage = (browser, name, path, body, options, timeout = 120_000) =>
  test(name, { timeout }, async () => {
    const { context, page, problems } = await loggedIn(browser(), path, options);
    try {
      await body(page, context, problems);
      assert.deepEqual(problems, [], "the page reported problems");
    } finally {
      await context.close();
    }
  });

export const until = async (what, check, ms = LIVE_MS_MAX) => {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    assert.ok(Date.now() < end, `waited too long for: ${what}`);
    await new Promise((done) => setTimeout(done, 150));
  }
};

export const number = (text) => Number((text ?? "").replace(/[^\d.]/g, ""));

/** What the server says, asked with the page's own session. */
export const ask = (page, path) => page.evaluate((url) => fetch(`/api/v1${url}`).then((answer) => answer.json()), path);
