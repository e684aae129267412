// One person in two browsers, one of them with two tabs: every device hears everything once, and what one does is
// so in the others.
import assert from "node:assert/strict";
import test from "node:test";
import { startServer } from "../support/server.mjs";
import { Arrivals } from "../support/waiting.mjs";
import { storedSession } from "./support/browser.mjs";
import { anotherBrowser, anotherTab, newChatter, newPair } from "./support/chat.mjs";

const server = await startServer();

/** alice in two browsers, the first with two tabs, and bob in his. */
async function newHousehold() {
  const { alice, bob, close } = await newPair(server);
  const second = await anotherTab(alice.visitor, server);
  const other = await anotherBrowser(server, alice);
  const tabs = [alice.tab, second, other.tab];
  for (const tab of tabs.slice(1)) await tab.open(bob.name);
  const devices = await Promise.all(tabs.map(async ({ page }) => (await storedSession(page)).device));
  assert.equal(new Set(devices).size, 3, "three devices");
  return { alice, bob, tabs, close: () => Promise.all([other.visitor.close(), close()]) };
}

/** The entries of the inbox that the page hears, from its next connection on. */
function hear(page) {
  const entries = new Arrivals();
  const take = (line) => line.startsWith('{"push":{"inbox"') && JSON.parse(line).push.inbox.entries.forEach((entry) => entries.add(entry));
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => String(payload).split("\n").forEach(take)));
  return entries;
}

test("a message comes to every device once, and what one of them sends stands in the others as sent", async () => {
  const { alice, bob, tabs, close } = await newHousehold();
  const heard = tabs.map(({ page }) => hear(page));
  for (const tab of tabs) {
    await tab.page.reload();
    await tab.live();
    await tab.see("first");
  }
  await bob.tab.write("to all of you");
  for (const tab of tabs) await tab.see("to all of you");
  await bob.tab.state("to all of you", "read");
  const expected = ["first", "to all of you"];
  for (const [number, tab] of tabs.entries()) {
    const text = `from device ${number}`;
    expected.push(text);
    await tab.write(text);
    await bob.tab.see(text);
    for (const one of tabs) {
      await one.see(text);
      assert.match(await one.message(text).getAttribute("class"), /\bmine\b/);
      await one.state(text, "read");
    }
  }
  for (const one of [...tabs, bob.tab]) assert.deepEqual(await one.texts(), expected);
  await bob.tab.write("the last one");
  for (const entries of heard) {
    await entries.first(({ text }) => text === "the last one", "the last message");
    const texts = entries.all.map(({ text }) => text).filter((text) => !text?.startsWith("from device"));
    assert.deepEqual(texts.filter((text) => text !== undefined), ["to all of you", "the last one"], "each once");
    const offsets = entries.all.map(({ offset }) => offset);
    assert.equal(new Set(offsets).size, offsets.length, "no entry twice");
  }
  await close();
});

test("unread is counted on every device, and what one of them reads is unread on none", async () => {
  const { alice, tabs, close } = await newHousehold();
  const [first, second, other] = tabs;
  const carol = await newChatter(server, { stem: "carol" });
  await carol.tab.begin(alice.name);
  for (const reader of tabs) {
    // Its turn to read: with an open conversation the others would read, too.
    for (const tab of tabs) await tab.go();
    await carol.tab.write("hello");
    await carol.tab.write("are you there?");
    for (const tab of tabs) {
      await tab.row(carol.name).getByText("2 unread").waitFor();
      await tab.page.waitForFunction(() => document.title.startsWith("(2) "));
    }
    await reader.open(carol.name);
    for (const tab of tabs) {
      await tab.row(carol.name).locator(".unread").waitFor({ state: "detached" });
      await tab.page.waitForFunction(() => !document.title.startsWith("("));
    }
  }
  assert.equal((await first.texts()).length + (await second.texts()).length, 0, "they have not opened it");
  assert.equal((await other.texts()).length, 6);
  await carol.visitor.close();
  await close();
});

test("delivered is said when one device has it, and how far it has come is said in all that sent", async () => {
  const { alice, bob, tabs, close } = await newHousehold();
  await bob.page.goto("about:blank");
  await tabs[1].write("first delivered, then read");
  for (const tab of tabs) await tab.state("first delivered, then read", "accepted");
  await bob.page.goto(`${server.url}/chat`);
  await bob.tab.live();
  for (const tab of tabs) await tab.state("first delivered, then read", "delivered");
  await bob.tab.open(alice.name);
  for (const tab of tabs) await tab.state("first delivered, then read", "read");
  await close();
});
