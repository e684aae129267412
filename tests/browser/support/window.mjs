// A browser whose tabs stand in front of each other, as a person's do: Playwright holds every page of its contexts
// in sight, and Chromium freezes no page that is in sight.
import { after } from "node:test";
import { chromium } from "playwright-core";
import { freePort } from "../../support/server.mjs";
import { patienceMs } from "../../support/waiting.mjs";
import { Visitor, launch } from "./browser.mjs";

const opened = [];

after(async () => {
  for (const browser of opened.reverse()) await browser.close();
});

/** A person at a browser of their own, of whose tabs only the one in front is in sight. */
export async function openWindow() {
  const port = await freePort();
  opened.push(await launch([`--remote-debugging-port=${port}`]));
  // Over the port Playwright can be told to leave the browser's own context as it is.
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  opened.push(browser);
  const [context] = browser.contexts();
  context.setDefaultTimeout(patienceMs);
  return new Visitor(context);
}

/** Freezes a page that is out of sight, as Chromium does to save power, or lets it go on. */
export async function freezer(page) {
  const control = await page.context().newCDPSession(page);
  await page.evaluate(() => {
    window.lifecycle = [];
    for (const name of ["freeze", "resume"]) document.addEventListener(name, () => window.lifecycle.push(name));
  });
  const set = async (state) => control.send("Page.setWebLifecycleState", { state });
  return { freeze: () => set("frozen"), wake: () => set("active"), heard: () => page.evaluate(() => window.lifecycle) };
}
