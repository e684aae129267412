// Our pages as people meet them: with and without JavaScript, by keyboard, on a phone, in the dark, read
// aloud; and the content security policy never violated.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { Visitor, clientStarted, screenshot, signInThroughPage, signUpThroughPage } from "./support/browser.mjs";

const server = await startServer();
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join("\n  ")}`);
  assert.deepEqual(told, [], what);
}

async function assertNoSidewaysScroll(page, what) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${what} is ${content} px wide in ${window}`);
}

/** Each page a person can meet: a name, and how to get there. */
const stations = {
  "sign-in": (page) => page.goto(`${server.url}/users/sign_in`),
  "sign-in-refused": (page) => signInThroughPage(page, server, { name: newName("nobody"), password: newPassword() }),
  "sign-up": (page) => page.goto(`${server.url}/users/sign_up`),
  "sign-up-refused": (page) => signUpThroughPage(page, server, { name: newName(), password: "too short" }),
  "not-found": (page) => page.goto(`${server.url}/nothing-here`),
  client: async (page) => {
    await signUpThroughPage(page, server, { name: newName(), password: newPassword() });
    await clientStarted(page);
  },
  account: (page) => page.goto(`${server.url}/users/account`),
  "account-refused": async (page) => {
    await page.getByLabel("Present password", { exact: true }).fill(newPassword());
    await page.getByLabel("New password", { exact: true }).fill("too short");
    await page.getByRole("button", { name: "Change the password" }).click();
    await page.getByRole("alert").waitFor();
  },
};

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [
    ["wide", { width: 1280, height: 900 }],
    ["phone", { width: 360, height: 740 }],
  ]) {
    test(`every page, ${colorScheme}, ${device}: accessible, no sideways scrolling, no violation of the policy`, async () => {
      const visitor = await Visitor.open({ colorScheme, viewport });
      visitor.expect(/status of (422|404)/); // how Chromium notes refused forms
      const page = await visitor.newTab();
      for (const [name, go] of Object.entries(stations)) {
        await go(page);
        await assertAccessible(page, name);
        await assertNoSidewaysScroll(page, name);
        await screenshot(page, `${name}-${colorScheme}-${device}`);
      }
      await visitor.close();
    });
  }
}

test("the ended client's page is accessible too", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const visitor = await Visitor.open({ colorScheme, viewport: { width: 360, height: 740 } });
    const page = await visitor.newTab();
    const name = newName();
    await signUpThroughPage(page, server, { name, password: newPassword() });
    await clientStarted(page);
    assert.equal((await server.command(["user", "sign-out", name])).code, 0);
    await page.locator("#ended").waitFor({ state: "visible" });
    await assertAccessible(page, "ended");
    await assertNoSidewaysScroll(page, "ended");
    await screenshot(page, `ended-${colorScheme}-phone`);
    await visitor.close();
  }
});

test("the longest name there may be stays within the page", async () => {
  for (const width of [360, 800, 1280]) {
    const visitor = await Visitor.open({ viewport: { width, height: 740 } });
    const page = await visitor.newTab();
    const name = newName("n").padEnd(255, "wide");
    await signUpThroughPage(page, server, { name, password: newPassword() });
    await clientStarted(page);
    await assertNoSidewaysScroll(page, "client");
    await screenshot(page, `client-long-name-${width}`);
    await page.goto(`${server.url}/users/account`);
    await assertNoSidewaysScroll(page, "account");
    await visitor.close();
  }
});

test("everything but the client works without JavaScript", async () => {
  const visitor = await Visitor.open({ javaScriptEnabled: false });
  visitor.expect(/status of 422/);
  const page = await visitor.newTab();
  const name = newName();
  const password = newPassword();
  await signUpThroughPage(page, server, { name, password: "too short" });
  await page.getByText("The password is too short.").waitFor();
  assert.equal(await page.getByLabel("User name").inputValue(), name, "what was typed is still there");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create the account" }).click();
  await page.waitForURL(`${server.url}/`);
  await page.getByRole("heading", { name }).waitFor();
  await page.locator("noscript .notice").waitFor();
  await screenshot(page, "client-without-javascript");

  await page.getByRole("link", { name: "Account" }).click();
  const changed = newPassword();
  await page.getByLabel("Present password", { exact: true }).fill(password);
  await page.getByLabel("New password", { exact: true }).fill(changed);
  await page.getByRole("button", { name: "Change the password" }).click();
  await page.waitForURL("**/users/account");
  const other = server.client();
  assert.equal((await other.signIn(name, changed)).status, 303);
  await page.reload();
  await page.getByRole("button", { name: /^End/ }).click();
  await page.waitForURL("**/users/account");
  assert.equal((await other.post("/v1/tickets", { json: {} })).status, 401);

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL("**/users/sign_in");
  await signInThroughPage(page, server, { name, password });
  await page.getByText("The name or the password is not right.").waitFor();
  await signInThroughPage(page, server, { name, password: changed });
  await page.waitForURL(`${server.url}/`);
  await page.goto(`${server.url}/users/account`);
  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await page.waitForURL("**/users/sign_in");
  await visitor.close();
});

/** Tabs on until the element has the focus; fails if the keyboard cannot reach it. */
async function tabTo(page, locator) {
  const wanted = await locator.elementHandle();
  for (let presses = 0; presses < 40; ++presses) {
    if (await wanted.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not reach ${locator}`);
}

/** Something is seen to have the focus. */
async function assertFocusVisible(page) {
  const seen = await page.evaluate(() => {
    const style = getComputedStyle(document.activeElement);
    return style.outlineStyle !== "none" && style.outlineWidth !== "0px" ? true : style.boxShadow !== "none";
  });
  assert.ok(seen, "the focus is invisible");
}

test("the keyboard alone is enough", async () => {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await page.goto(`${server.url}/users/sign_in`);
  await page.keyboard.press("Shift+Tab");
  await tabTo(page, page.getByRole("link", { name: "Create an account" }));
  await assertFocusVisible(page);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/users/sign_up");
  const name = newName();
  const password = newPassword();
  await tabTo(page, page.getByLabel("User name"));
  await page.keyboard.type(name);
  await tabTo(page, page.getByLabel("Password", { exact: true }));
  await page.keyboard.type(password);
  await page.keyboard.press("Tab");
  await assertFocusVisible(page);
  await page.keyboard.press("Enter"); // shows the password
  assert.equal(await page.locator("#password").getAttribute("type"), "text");
  await tabTo(page, page.getByRole("button", { name: "Create the account" }));
  await assertFocusVisible(page);
  await page.keyboard.press("Enter");
  await clientStarted(page);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await tabTo(page, page.locator("#signOut"));
  await page.keyboard.press("Enter");
  await page.waitForURL("**/users/sign_in");
  await visitor.close();
});

test("a refused form puts the focus on what is wrong, and names the field", async () => {
  const visitor = await Visitor.open();
  visitor.expect(/status of 422/);
  const page = await visitor.newTab();
  await signUpThroughPage(page, server, { name: newName(), password: "too short" });
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.ok(await alert.evaluate((element) => element === document.activeElement));
  assert.equal(await page.locator("#password").getAttribute("aria-invalid"), "true");
  await visitor.close();
});

test("the client page shows the ticket's claims and the running log, never the signature", async () => {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const name = newName();
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith("/v1/tickets")),
    signUpThroughPage(page, server, { name, password: newPassword() }),
  ]);
  const ticket = plant("ticket", (await answer.json()).userTicket);
  await clientStarted(page);
  assert.equal(await page.locator('[data-claim="identity"]').textContent(), `username ${name}`);
  assert.equal(await page.locator('[data-claim="applicationKey"]').textContent(), server.applicationKey);
  assert.match(await page.locator('[data-claim="expires"]').textContent(), /in \d/);
  assert.deepEqual(await page.locator("[data-step]").evaluateAll((steps) => steps.map((step) => step.dataset.step)), [
    "done",
    "done",
    "done",
  ]);
  const log = await page.locator("#log").textContent();
  assert.match(log, /Client started/);
  const everything = await page.content();
  for (const secret of [ticket, ticket.split(":")[1], server.applicationSecret]) assert.ok(!everything.includes(secret));
  await visitor.close();
});

test("a name that looks like markup is shown as text", async () => {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const name = `<img src=x onerror=alert(1)>&"'${newName()}`;
  await signUpThroughPage(page, server, { name, password: newPassword() });
  await clientStarted(page);
  assert.equal(await page.locator("h1").textContent(), name);
  await page.goto(`${server.url}/users/account`);
  assert.equal(await page.locator("img").count(), 1, "the logo alone");
  await visitor.close();
});

test("the policy blocks what is not ours", async () => {
  const { client } = await newPerson(server);
  const visitor = await Visitor.open();
  visitor.expect(/Content Security Policy|violates/);
  await visitor.context.addCookies(
    [...client.cookies].map(([name, value]) => ({ name, value, url: server.url.replace("http:", "https:"), secure: true })),
  );
  const page = await visitor.newTab();
  await page.goto(server.url);
  await clientStarted(page);
  const blocked = await page.evaluate(async () => {
    const seen = [];
    document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
    const script = document.createElement("script");
    script.textContent = "globalThis.injected = true";
    document.body.append(script);
    const image = document.createElement("img");
    image.src = "http://127.0.0.1:9/x.png";
    document.body.append(image);
    await fetch("http://127.0.0.1:9/").catch(() => {});
    await new Promise((resolve) => {
      const check = () => (seen.length >= 3 ? resolve() : requestAnimationFrame(check));
      check();
    });
    return { seen, injected: globalThis.injected };
  });
  assert.equal(blocked.injected, undefined);
  assert.ok(blocked.seen.some((directive) => directive.startsWith("script-src")));
  assert.ok(blocked.seen.includes("img-src"));
  assert.ok(blocked.seen.includes("connect-src"));
  await visitor.close();
});
