// Several tabs, reloads, restarts, sleep: what the SDK promises to people who never think of it.
import assert from "node:assert/strict";
import test from "node:test";
import { newName, newPassword } from "../support/people.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { refusal } from "../support/websocket.mjs";
import { Visitor, clientStarted, screenshot, signUpThroughPage, storedSession } from "./support/browser.mjs";

const server = await startServer();

/** A visitor with a new account and one tab whose client is live. */
async function newVisitor(of = server) {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const person = { name: newName(), password: newPassword() };
  await signUpThroughPage(page, of, person);
  await clientStarted(page);
  return { visitor, page, ...person };
}

async function sessionOf(page) {
  const session = await storedSession(page);
  assert.ok(session, "the tab keeps no session");
  plant("instance secret", session.secret);
  return session;
}

async function connected(page) {
  await page.locator('#state[data-state="connected"]').waitFor();
}

async function endedPanel(page) {
  await page.locator("#ended").waitFor({ state: "visible" });
  assert.equal(await page.getByRole("link", { name: "Sign in again" }).getAttribute("href"), "/users/sign_in");
}

test("two tabs are two devices, both connected", async () => {
  const { visitor, page } = await newVisitor();
  const second = await visitor.newTab();
  await second.goto(server.url);
  await clientStarted(second);
  await connected(page);
  const [one, two] = [await sessionOf(page), await sessionOf(second)];
  assert.notEqual(one.device, two.device);
  assert.notEqual(one.instance, two.instance);
  await visitor.close();
});

test("signing out in one tab ends the others, which offer to sign in again", async () => {
  const { visitor, page } = await newVisitor();
  const second = await visitor.newTab();
  await second.goto(server.url);
  await clientStarted(second);
  const left = await sessionOf(page);
  await second.locator("#signOut").click();
  await second.waitForURL("**/users/sign_in");
  await endedPanel(page);
  await screenshot(page, "tabs-signed-out-elsewhere");
  assert.equal((await refusal(server, left)).reply.error.code, 101);
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL("**/users/sign_in");
  await visitor.close();
});

test("a session that an operator ended shows that it is over, never a dead page", async () => {
  const { visitor, page, name } = await newVisitor();
  const began = performance.now();
  assert.equal((await server.command(["user", "sign-out", name])).code, 0);
  await endedPanel(page);
  assert.ok(performance.now() - began < 4000);
  assert.match(await page.locator("#ended").textContent(), /sign-in has ended/);
  assert.ok(await page.locator("#ended").evaluate((panel) => panel === document.activeElement), "it has the focus");
  await page.reload();
  assert.equal(new URL(page.url()).pathname, "/users/sign_in");
  await page.getByText("Your sign-in has ended. Sign in again.").waitFor();
  await visitor.close();
});

test("a session that expired while the ticket was renewed: expired, sign in again", async () => {
  // The page's client is told by the ticket endpoint, not by the gateway, that nobody is signed in.
  const { visitor, page, name } = await newVisitor();
  visitor.expect(/status of 401/);
  await server.kill();
  await page.locator('#state[data-state="connecting"]').waitFor();
  visitor.expect(/WebSocket connection|ERR_CONNECTION_REFUSED/);
  assert.equal((await server.command(["user", "sign-out", name])).code, 0);
  await server.restart();
  await endedPanel(page);
  await visitor.close();
});

test("a duplicated tab becomes a device of its own, and both live", async () => {
  const { visitor, page } = await newVisitor();
  const before = await sessionOf(page);
  const [copy] = await Promise.all([visitor.context.waitForEvent("page"), page.evaluate(() => void window.open("/"))]);
  await clientStarted(copy);
  const theirs = await sessionOf(copy);
  assert.notEqual(theirs.device, before.device);
  await connected(page);
  assert.deepEqual((await sessionOf(page)).instance, before.instance);
  await page.evaluate(() => dispatchEvent(new Event("online"))); // asks for a sign of life
  await connected(page);
  await connected(copy);
  assert.equal(await page.locator("#ended").isVisible(), false);
  assert.equal(await copy.locator("#ended").isVisible(), false);
  await visitor.close();
});

test("kill -9 of the server: the same instances are back, nobody doing anything", async () => {
  const { visitor, page } = await newVisitor();
  visitor.expect(/WebSocket connection|ERR_CONNECTION_REFUSED/);
  const second = await visitor.newTab();
  await second.goto(server.url);
  await clientStarted(second);
  const before = [await sessionOf(page), await sessionOf(second)];
  for (let round = 0; round < 2; ++round) {
    await server.kill();
    await page.locator('#state[data-state="connecting"]').waitFor();
    await second.locator('#state[data-state="connecting"]').waitFor();
    await screenshot(page, "tabs-reconnecting");
    await server.restart();
    await connected(page);
    await connected(second);
    const after = [await sessionOf(page), await sessionOf(second)];
    assert.deepEqual(
      after.map((session) => session.instance),
      before.map((session) => session.instance),
    );
  }
  await visitor.close();
});

test("a restart with SIGTERM: told to come back, and back", async () => {
  const { visitor, page } = await newVisitor();
  visitor.expect(/WebSocket connection|ERR_CONNECTION_REFUSED/);
  const before = await sessionOf(page);
  assert.equal((await server.stop()).code, 0);
  await page.locator('#state[data-state="connecting"]').waitFor();
  await server.restart();
  await connected(page);
  assert.equal((await sessionOf(page)).instance, before.instance);
  await visitor.close();
});

test("a reload keeps the device and asks for a new ticket without a person", async () => {
  const { visitor, page } = await newVisitor();
  const before = await sessionOf(page);
  await page.reload();
  await clientStarted(page);
  assert.equal((await sessionOf(page)).device, before.device);
  await visitor.close();
});

test("away and back through the history: the client lives", async () => {
  const { visitor, page } = await newVisitor();
  for (let round = 0; round < 2; ++round) {
    await page.getByRole("link", { name: "Account" }).click();
    await page.waitForURL("**/users/account");
    await page.goBack();
    await connected(page);
  }
  await visitor.close();
});

test("after signing out, going back shows no live client and no page of the person", async () => {
  const { visitor, page, name } = await newVisitor();
  visitor.expect(/status of 401/);
  await page.locator("#signOut").click();
  await page.waitForURL("**/users/sign_in");
  await page.goBack();
  // Either the server is asked and sends us away, or the restored page says that it is over.
  await page.waitForFunction(
    () => location.pathname === "/users/sign_in" || document.querySelector("#ended")?.checkVisibility(),
  );
  assert.ok(name);
  await visitor.close();
});

test("offline for a while: back as the same instance when the network is", async () => {
  const { visitor, page } = await newVisitor();
  visitor.expect(/WebSocket connection|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED/);
  const before = await sessionOf(page);
  await visitor.context.setOffline(true);
  await server.kill(); // the connection is gone, and none can be made
  await page.locator('#state[data-state="connecting"]').waitFor();
  await server.restart();
  const began = performance.now();
  await visitor.context.setOffline(false); // `online` fires: no pause is waited for
  await connected(page);
  assert.ok(performance.now() - began < 5000, "it waited although the network was back");
  assert.equal((await sessionOf(page)).instance, before.instance);
  await visitor.close();
});

test("a ticket is renewed on the same connection before it ends", async () => {
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await page.clock.install();
  await signUpThroughPage(page, server, { name: newName(), password: newPassword() });
  await clientStarted(page);
  const before = await sessionOf(page);
  const asked = page.waitForResponse((response) => response.url().endsWith("/v1/tickets"));
  await page.clock.fastForward("50:00"); // of its hour
  assert.equal((await asked).status(), 200);
  await page.locator("#log").getByText("Ticket refreshed").waitFor();
  assert.equal((await sessionOf(page)).instance, before.instance);
  await connected(page);
  await visitor.close();
});
