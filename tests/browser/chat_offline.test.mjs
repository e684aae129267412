// The chat page without a server, without a network, reloaded in the middle: nothing is lost, nothing doubled,
// and the page says what is so.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";
import { screenshot, signInThroughPage } from "./support/browser.mjs";
import { ChatTab, anotherTab, assertAccessible, newPair } from "./support/chat.mjs";

const server = await startServer();
const lost = /WebSocket connection|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED/;

/** Two people whose servers will go away. */
async function newMortalPair(of = server) {
  const pair = await newPair(of);
  pair.alice.visitor.expect(lost);
  pair.bob.visitor.expect(lost);
  return pair;
}

/**
 * Stands between a page and the gateway. While `holds` is on, what the server says about `send` is swallowed: the page
 * cannot know whether its message was stored.
 */
async function tamper(page) {
  const tampering = { holds: false, withholds: false };
  await page.routeWebSocket(/\/v1\/gateway$/, (socket) => {
    const upstream = socket.connectToServer();
    upstream.onMessage((frame) => {
      const lines = String(frame).split("\n");
      // The answer, and the entry in the sender's own inbox, which says as much.
      const passed = lines.filter((line) => !(tampering.holds && /"send":|"stub":true/.test(line)));
      if (passed.length > 0) socket.send(passed.join("\n"));
    });
    socket.onMessage((frame) => {
      const lines = String(frame).split("\n");
      const passed = lines.filter((line) => !(tampering.withholds && line.includes('"send":')));
      if (passed.length > 0) upstream.send(passed.join("\n"));
    });
  });
  return tampering;
}

test("the server is killed: what both write waits, and goes out in order when it is back", async () => {
  const { alice, bob, close } = await newMortalPair();
  await server.kill();
  await alice.tab.link("offline");
  await bob.tab.link("offline");
  await alice.tab.write("one");
  await alice.tab.write("two");
  await bob.tab.write("three");
  await alice.tab.state("one", "queued");
  await alice.tab.row(bob.name).getByText("2 not sent").waitFor();
  await assertAccessible(alice.page, "offline");
  await screenshot(alice.page, "chat-offline");
  await server.restart();
  await alice.tab.live();
  await bob.tab.live();
  await alice.tab.state("two", "read");
  await bob.tab.state("three", "read");
  for (const { tab } of [alice, bob]) {
    const texts = await tab.texts();
    assert.deepEqual([...texts].sort(), ["first", "one", "three", "two"]);
    assert.ok(texts.indexOf("one") < texts.indexOf("two"));
  }
  assert.deepEqual(await alice.tab.texts(), await bob.tab.texts(), "one order, the same for both");
  await alice.page.locator("#linkMore").getByText("Recovered").waitFor();
  await close();
});

test("the network is gone: the page says so at once, and is back at once", async () => {
  const { alice, bob, close } = await newMortalPair();
  await alice.visitor.context.setOffline(true);
  await alice.tab.link("offline");
  await server.kill(); // no connection survives this, and none can be made
  await alice.tab.write("from the tunnel");
  await alice.tab.state("from the tunnel", "queued");
  await server.restart();
  await bob.tab.live();
  const began = performance.now();
  await alice.visitor.context.setOffline(false);
  await alice.tab.live();
  assert.ok(performance.now() - began < 5000, "it waited although the network was back");
  await alice.tab.state("from the tunnel", "read");
  await close();
});

test("a reload in the middle of sending: the message is there, once, for both", async () => {
  const { alice, bob, close } = await newPair(server);
  const tampering = await tamper(alice.page);
  await alice.page.reload();
  await alice.tab.live();
  await alice.tab.heading(bob.name);
  for (const [way, text] of [
    ["withholds", "never reached the server"],
    ["holds", "stored, but the answer was lost"],
  ]) {
    tampering[way] = true;
    await alice.tab.write(text);
    await alice.tab.state(text, "sending");
    if (way === "holds") await bob.tab.see(text);
    await alice.page.reload();
    await alice.tab.live();
    await alice.tab.heading(bob.name);
    tampering[way] = false;
    await alice.page.reload();
    await alice.tab.live();
    await alice.tab.state(text, "read");
    await bob.tab.see(text);
    assert.equal(await alice.tab.message(text).count(), 1);
    assert.equal(await bob.tab.message(text).count(), 1);
  }
  await close();
});

test("what waits is seen in every tab of the person, and sent by the one that lives", async () => {
  const { alice, bob, close } = await newMortalPair();
  const second = await anotherTab(alice.visitor, server);
  await second.open(bob.name);
  await server.kill();
  await alice.tab.link("offline");
  await alice.tab.write("from a tab that is closed");
  await alice.tab.state("from a tab that is closed", "queued");
  await alice.page.close();
  await server.restart();
  await second.live();
  await second.state("from a tab that is closed", "read");
  await bob.tab.see("from a tab that is closed");
  await close();
});

test("signing out with unsent messages asks first, then nothing of them is left", async () => {
  const { alice, bob, close } = await newPair(server);
  const tampering = await tamper(alice.page);
  await alice.page.reload();
  await alice.tab.live();
  await alice.tab.heading(bob.name);
  tampering.withholds = true;
  await alice.tab.write("never meant to be sent");
  await alice.tab.state("never meant to be sent", "sending");
  await alice.page.locator("#signOut").click();
  const dialog = alice.page.getByRole("dialog", { name: "Sign out with unsent messages?" });
  await dialog.getByText("One message has not been stored by the server yet.").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Stay signed in" }).evaluate((one) => one === document.activeElement));
  await assertAccessible(alice.page, "the question");
  await screenshot(alice.page, "chat-sign-out-question");
  await alice.page.keyboard.press("Escape");
  await alice.tab.state("never meant to be sent", "sending");
  await alice.page.locator("#signOut").click();
  await dialog.getByRole("button", { name: "Delete and sign out" }).click();
  await alice.page.waitForURL("**/users/sign_in");
  const kept = await alice.page.evaluate(async () => {
    const found = [JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)));
      for (const store of database.objectStoreNames) {
        const rows = database.transaction(store).objectStore(store).getAll();
        found.push(JSON.stringify(await new Promise((resolve) => (rows.onsuccess = () => resolve(rows.result)))));
      }
      database.close();
    }
    return found.join("\n");
  });
  assert.ok(!kept.includes("never meant to be sent"));
  tampering.withholds = false;
  await signInThroughPage(alice.page, server, alice);
  await alice.page.waitForURL(`${server.url}/`);
  const again = await new ChatTab(alice.page, server).go();
  await again.open(bob.name);
  await again.see("first");
  await bob.tab.write("anything?");
  await again.see("anything?");
  assert.deepEqual(await again.texts(), ["first", "anything?"]);
  await close();
});

for (const [where, address] of [
  ["client", "/"],
  ["account", "/users/account"],
]) {
  test(`signing out on the ${where} page asks, too, and leaves nothing`, async () => {
    const { alice, bob, close } = await newPair(server);
    alice.visitor.expect(lost);
    const text = `written before the ${where} page`;
    const tampering = await tamper(alice.page);
    await alice.page.reload();
    await alice.tab.live();
    tampering.withholds = true;
    await alice.tab.write(text);
    await alice.tab.state(text, "sending");
    await alice.page.goto(`${server.url}${address}`);
    const answer = (accept) =>
      new Promise((resolve) => {
        alice.page.once("dialog", (dialog) => {
          resolve(dialog.message());
          void (accept ? dialog.accept() : dialog.dismiss());
        });
      });
    const refused = answer(false);
    await alice.page.locator(".sign-out button").click();
    assert.match(await refused, /^One message has not been stored/);
    assert.equal(new URL(alice.page.url()).pathname, address);
    const accepted = answer(true);
    await alice.page.locator(".sign-out button").click();
    await accepted;
    await alice.page.waitForURL("**/users/sign_in");
    tampering.withholds = false;
    await signInThroughPage(alice.page, server, alice);
    await alice.page.waitForURL(`${server.url}/`);
    const again = await new ChatTab(alice.page, server).go();
    await again.open(bob.name);
    await again.see("first");
    assert.deepEqual(await again.texts(), ["first"]);
    await close();
  });
}

test("a restored store is never passed off as recovered: both pages say that something may be missing", async () => {
  const own = await startServer();
  const { alice, bob, close } = await newMortalPair(own);
  await own.stop();
  const copy = path.join(temporaryFolder("copy"), "var");
  fs.cpSync(own.dataDir, copy, { recursive: true });
  await own.restart();
  await alice.tab.live();
  await bob.tab.live();
  for (const text of ["lost one", "lost two"]) {
    await alice.tab.write(text);
    await alice.tab.state(text, "read");
  }
  await own.stop();
  fs.rmSync(own.dataDir, { recursive: true });
  fs.cpSync(copy, own.dataDir, { recursive: true });
  await own.restart();
  for (const { tab, page } of [alice, bob]) {
    await page.getByRole("alert").getByText("restored").waitFor();
    await tab.live();
    await tab.message("lost one").waitFor({ state: "detached" });
    await tab.see("first");
    await page.locator(".conversation-row .preview").getByText("first").waitFor();
    assert.equal(await page.locator("#linkMore").textContent(), "");
  }
  await assertAccessible(alice.page, "after a restore");
  await screenshot(alice.page, "chat-after-restore");
  await alice.page.getByRole("button", { name: "Understood" }).click();
  await alice.page.getByRole("alert").waitFor({ state: "hidden" });
  await alice.tab.write("after it");
  await bob.tab.see("after it");
  await alice.tab.state("after it", "read");
  await close();
});
