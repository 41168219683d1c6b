// A picture of any page while working on it: node e2e/shot.mjs /alerts out.png [width height] [light]
import { launch, loggedIn } from "./browser.mjs";

const [path = "/", out = "shot.png", width = "1600", height = "1000", theme = "dark"] = process.argv.slice(2);
const browser = await launch();
const { page, problems } = await loggedIn(browser, path, { viewport: { width: Number(width), height: Number(height) } });
if (theme === "light") await page.getByRole("button", { name: "Light theme" }).click();
await page.waitForTimeout(Number(process.env.SETTLE_MS ?? 6000));
await page.screenshot({ path: out });
console.log(problems.join("\n") || "no problems");
await browser.close();
