// A real Chromium, headless, with a profile of its own and no way out to other hosts. What a page says on
// the console as an error, or throws, fails the test unless it was expected.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { chromium } from "playwright-core";
import { cleanEnvironment, execute, root, temporaryFolder } from "../../support/process.mjs";
import { elsewhere } from "../../support/traffic.mjs";
import { patienceMs, within } from "../../support/waiting.mjs";

const screenshots = path.join(root, "build/screenshots");

let launched;
let home;

/**
 * Makes the browser of this test file trust an authority, as docs/guides/dev-certificate.md tells people to:
 * in its user's certificate database. To be called before the first visitor comes.
 */
export async function trustAuthority(file) {
  assert.ok(!launched, "the browser reads its authorities when it starts");
  home = temporaryFolder("home");
  const database = path.join(home, ".pki/nssdb");
  fs.mkdirSync(database, { recursive: true });
  for (const args of [["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "countersign-dev", "-i", file]]) {
    const done = await execute("certutil", ["-d", `sql:${database}`, ...args]);
    assert.equal(done.code, 0, done.stderr);
  }
}

/** Starts a browser, which whoever starts it has to close. */
export function launch(more = []) {
  return chromium.launch({
    executablePath: process.env.COUNTERSIGN_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--no-proxy-server",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
      ...more,
    ],
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    env: cleanEnvironment(home && { HOME: home }),
  });
}

/** The browser of this test file; it ends with the file. */
async function browser() {
  launched ??= launch();
  return launched;
}

after(async () => {
  if (launched) await (await launched).close();
});

/** A person at a browser: tabs that share cookies, and what went wrong in them. */
export class Visitor {
  static async open(options = {}) {
    const context = await (await browser()).newContext({ ...options });
    context.setDefaultTimeout(patienceMs);
    return new Visitor(context);
  }

  constructor(context) {
    this.context = context;
    this.problems = [];
    this.expected = [];
    this.reading = [];
    context.on("page", (page) => this.#watch(page));
    context.on("response", (response) => this.reading.push(this.#keep(response)));
  }

  /** What our servers tell the browser is searched for planted values when the file has ended. */
  async #keep(response) {
    const { pathname, search } = new URL(response.url());
    // Some have no body to ask for: redirects, preflights, and pages that were left at once.
    const headers = await response.headersArray().catch(() => []);
    if (!headers.some(({ name }) => name.toLowerCase() === "x-request-id")) return; // somebody else's site
    const body = await response.text().catch(() => "");
    const pairs = headers.map(({ name, value }) => [name, value]);
    elsewhere.answer(`${response.request().method()} ${pathname}${search}`, pairs, body);
  }

  #watch(page) {
    page.on("console", (message) => {
      if (message.type() === "error") this.problems.push(message.text());
    });
    page.on("websocket", (socket) => {
      const heard = elsewhere.connection();
      socket.on("framereceived", ({ payload }) => heard("message", payload.toString()));
    });
    page.on("pageerror", (error) => this.problems.push(String(error)));
  }

  /** Console errors that match are part of the test. */
  expect(pattern) {
    this.expected.push(pattern);
  }

  newTab() {
    return this.context.newPage();
  }

  async cookies() {
    return Object.fromEntries((await this.context.cookies()).map((cookie) => [cookie.name, cookie.value]));
  }

  /** Closes, and fails the test if anything unexpected went wrong in a page. */
  async close() {
    // An answer whose page was left in the middle never has a body.
    await within(Promise.all(this.reading), "the bodies of all answers", 1000).catch(() => {});
    await this.context.close();
    const unexpected = this.problems.filter((text) => !this.expected.some((pattern) => pattern.test(text)));
    assert.deepEqual(unexpected, []);
  }
}

/** Saves what a person sees, for people to look at. */
export async function screenshot(page, name) {
  fs.mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage: true });
}

// Our own pages.

export async function signUpThroughPage(page, server, { name, password, email }) {
  await page.goto(`${server.url}/users/sign_up`);
  if (name) await page.getByLabel("User name").fill(name);
  if (email) await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create the account" }).click();
}

export async function signInThroughPage(page, server, { name, password }) {
  await page.goto(`${server.url}/users/sign_in`);
  await page.getByLabel("User name or e-mail address").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Waits until the client page shows a live client. */
export async function clientStarted(page) {
  await page.locator('#state[data-state="connected"]').waitFor();
  await page.locator("#clientStart").waitFor({ state: "visible" });
}

/** What the page's tab keeps of its client: {instance, secret, device, applicationKey, identity}. */
export function storedSession(page) {
  return page.evaluate(() => {
    for (let index = 0; index < sessionStorage.length; ++index) {
      const key = sessionStorage.key(index);
      if (key.startsWith("countersign/session/")) return JSON.parse(sessionStorage.getItem(key)).session;
    }
    return null;
  });
}
