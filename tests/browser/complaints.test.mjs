// What people complain of in comparable systems (docs/reference/protocol.md), row by row, in real browsers;
// row 11 is in complaints_frozen.test.mjs, row 12 in complaints_cache.test.mjs.
import assert from "node:assert/strict";
import test from "node:test";
import { Device } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { startServer } from "../support/server.mjs";
import { Arrivals } from "../support/waiting.mjs";
import { screenshot, storedSession } from "./support/browser.mjs";
import { anotherTab, assertAccessible, newChatter, newPair } from "./support/chat.mjs";
import { removeEntriesBefore } from "./support/retention.mjs";

const server = await startServer();
const lost = /WebSocket connection|ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED/;

/** kill -9 of the server and a new one: everybody's connection is cut. */
async function cut(...tabs) {
  await server.kill();
  for (const tab of tabs) await tab.link("offline");
}

async function comeBack(...tabs) {
  await server.restart();
  for (const tab of tabs) await tab.live();
}

test("row 1, was it delivered: the sender sees stored, delivered and read, each when it is so", async () => {
  const alice = await newChatter(server, { stem: "alice" });
  const bob = await newChatter(server, { stem: "bob" });
  await bob.page.goto("about:blank");
  await alice.tab.begin(bob.name);
  await alice.tab.write("was it delivered?");
  await alice.tab.state("was it delivered?", "accepted");
  await bob.tab.go();
  await alice.tab.state("was it delivered?", "delivered");
  await bob.tab.open(alice.name);
  await alice.tab.state("was it delivered?", "read");
  await alice.visitor.close();
  await bob.visitor.close();
});

test("row 2, recovery silently does not happen: with nothing ever received, and again and again", async () => {
  const reader = await newChatter(server, { stem: "reader" });
  reader.visitor.expect(lost);
  const said = reader.page.locator("#linkMore");
  for (let round = 0; round < 3; ++round) {
    await cut(reader.tab);
    await comeBack(reader.tab);
    await said.getByText("Recovered: nothing was missed.").waitFor();
  }
  for (let round = 1; round <= 3; ++round) {
    await cut(reader.tab);
    await reader.visitor.context.setOffline(true);
    await server.restart();
    const writer = await Device.connect(server, newName("writer"));
    for (let number = 1; number <= round; ++number) await writer.sent(reader.name, `round ${round}, ${number}`);
    writer.gateway.close();
    await reader.visitor.context.setOffline(false);
    await reader.tab.live();
    await said.getByText(`Recovered without a hole: ${round} missed`).waitFor();
    await reader.tab.open(writer.name);
    await reader.tab.see(`round ${round}, ${round}`);
    assert.equal((await reader.tab.texts()).at(-1), `round ${round}, ${round}`);
  }
  await reader.visitor.close();
});

test("row 3, recovery is one-way: what both wrote meanwhile reaches both", async () => {
  const { alice, bob, close } = await newPair(server);
  alice.visitor.expect(lost);
  bob.visitor.expect(lost);
  for (let round = 0; round < 2; ++round) {
    await cut(alice.tab, bob.tab);
    await alice.tab.write(`alice ${round}`);
    await bob.tab.write(`bob ${round}`);
    await alice.tab.state(`alice ${round}`, "queued");
    await bob.tab.state(`bob ${round}`, "queued");
    await comeBack(alice.tab, bob.tab);
    await bob.tab.see(`alice ${round}`);
    await alice.tab.see(`bob ${round}`);
    await alice.tab.state(`alice ${round}`, "read");
    await bob.tab.state(`bob ${round}`, "read");
  }
  assert.equal((await alice.tab.texts()).length, 5);
  assert.deepEqual(await alice.tab.texts(), await bob.tab.texts());
  await close();
});

test("row 4, the recovered flag is wrong when the history is empty or has expired", async () => {
  const { alice, bob, close } = await newPair(server);
  bob.visitor.expect(lost);
  alice.visitor.expect(lost);
  await bob.visitor.context.setOffline(true);
  await cut(alice.tab, bob.tab);
  await server.restart();
  const writer = await Device.connect(server, alice.name, { device: "another" });
  await writer.sent(bob.name, "gone before it was read", { expires_in: 1 });
  await writer.sent(bob.name, "still there");
  // The sender is told when it has expired; only then does the reader come back.
  await writer.entries.first(({ kind }) => kind === "failed", "the news that it has expired");
  await bob.visitor.context.setOffline(false);
  await bob.tab.live();
  await bob.tab.see("still there");
  assert.equal(await bob.tab.message("gone before it was read").count(), 0);
  await bob.page.locator("#linkMore").getByText("Recovered without a hole").waitFor();
  assert.equal(await bob.page.locator("#reset").isVisible(), false);
  await close();
});

/** Every frame that the page hears from the gateway, from its next connection on. */
function listen(page) {
  const frames = new Arrivals();
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.add(String(payload))));
  return frames;
}

for (const [what, left] of [["the end of it is still there", ["kept 1", "kept 2"]], ["nothing of it is left", []]]) {
  test(`row 4, the history has expired below the reader's place, ${what}: said plainly, and not called recovered`, async () => {
    const { alice, bob, close } = await newPair(server);
    bob.visitor.expect(lost);
    alice.visitor.expect(lost);
    await bob.tab.write("handled by both");
    await bob.tab.state("handled by both", "read");
    await bob.visitor.context.setOffline(true);
    await cut(alice.tab, bob.tab);
    await server.restart();
    await alice.tab.live();
    for (const text of ["taken unseen 1", "taken unseen 2", ...left]) {
      await alice.tab.write(text);
      await alice.tab.state(text, "accepted");
    }
    await server.stop();
    await alice.tab.link("offline");
    assert.equal(await removeEntriesBefore(server, left[0]), 2);
    const [toAlice, toBob] = [listen(alice.page), listen(bob.page)];
    await server.restart();
    // She had handled all there was: nothing is below her place, and she is told only what he will never get.
    await alice.tab.live();
    await alice.page.locator("#linkMore").getByText("Recovered without a hole: 2 missed").waitFor();
    for (const text of ["taken unseen 1", "taken unseen 2"]) await alice.tab.state(text, "undelivered");
    await bob.visitor.context.setOffline(false);
    await toBob.first((frame) => frame.includes('"reason":"floor"'), "the news that his place is below the floor");
    await bob.page.getByRole("alert").getByText("away for longer than the server keeps messages").waitFor();
    await bob.tab.live();
    for (const text of left) await bob.tab.see(text);
    for (const text of ["first", "handled by both"]) await bob.tab.message(text).waitFor({ state: "detached" });
    await bob.tab.shows(left);
    for (const text of left) await alice.tab.state(text, "read");
    await bob.tab.write("back");
    await bob.tab.state("back", "read");
    await alice.tab.write("after it");
    await bob.tab.see("after it");
    await alice.tab.state("after it", "read");
    // That he reads what came later is no receipt for what he never had.
    for (const text of ["taken unseen 1", "taken unseen 2"]) await alice.tab.state(text, "undelivered");
    assert.deepEqual(await bob.tab.texts(), [...left, "back", "after it"]);
    assert.equal(await bob.page.locator("#linkMore").textContent(), "", "nothing is called recovered");
    assert.ok(!toAlice.all.some((frame) => frame.includes('"reason":"floor"')));
    assert.equal(await alice.page.locator("#reset").isVisible(), false);
    await assertAccessible(bob.page, "after retention");
    await screenshot(bob.page, left.length > 0 ? "chat-below-floor" : "chat-below-floor-empty");
    await bob.page.getByRole("button", { name: "Understood" }).click();
    await bob.page.getByRole("alert").waitFor({ state: "hidden" });
    // His place is whole again: the next loss is recovered.
    await cut(alice.tab, bob.tab);
    await comeBack(alice.tab, bob.tab);
    await bob.page.locator("#linkMore").getByText("Recovered").waitFor();
    assert.equal(await bob.page.locator("#reset").isVisible(), false);
    await close();
  });
}

test("row 5, the ticket expires while connected: renewed on the same connection, and messages go on", async () => {
  const alice = await newChatter(server, { stem: "alice" });
  const bob = await newChatter(server, { stem: "bob" });
  await alice.page.clock.install();
  await alice.page.reload();
  await alice.tab.live();
  await alice.tab.begin(bob.name);
  const before = await storedSession(alice.page);
  for (let round = 1; round <= 2; ++round) {
    const asked = alice.page.waitForResponse((response) => response.url().endsWith("/v1/tickets"));
    await alice.page.clock.fastForward("50:00"); // of its hour
    assert.equal((await asked).status(), 200);
    await alice.tab.live();
    await alice.tab.write(`after ticket ${round}`);
    await alice.tab.state(`after ticket ${round}`, "delivered");
  }
  assert.equal((await storedSession(alice.page)).instance, before.instance);
  await alice.visitor.close();
  await bob.visitor.close();
});

for (const [direction, hours] of [["fast", 2], ["slow", -2]]) {
  test(`a clock that is two hours ${direction}: messages go both ways with the server's times, and the ticket is renewed in time`, async () => {
    const alice = await newChatter(server, { stem: "alice" });
    const bob = await newChatter(server, { stem: "bob" });
    await alice.page.clock.install({ time: Date.now() + hours * 3_600_000 });
    await alice.page.reload();
    await alice.tab.live();
    assert.ok(Math.abs((await alice.page.evaluate(() => Date.now())) - Date.now() - hours * 3_600_000) < 60_000);
    await alice.tab.begin(bob.name);
    await alice.tab.write("from another time");
    await alice.tab.state("from another time", "delivered");
    const shown = await alice.tab.message("from another time").locator("time").getAttribute("datetime");
    assert.ok(Math.abs(Date.parse(shown) - Date.now()) < 60_000, shown);
    await bob.tab.open(alice.name);
    await bob.tab.write("to another time");
    await alice.tab.see("to another time");
    await bob.tab.state("to another time", "read");
    const asked = alice.page.waitForResponse((response) => response.url().endsWith("/v1/tickets"));
    await alice.page.clock.fastForward("50:00"); // of its hour
    assert.equal((await asked).status(), 200);
    await alice.tab.write("still here");
    await alice.tab.state("still here", "read");
    await alice.visitor.close();
    await bob.visitor.close();
  });
}

test("row 7, a second tab pushes the first one out: here both live, and both get everything", async () => {
  const { alice, bob, close } = await newPair(server);
  const tabs = [alice.tab, await anotherTab(alice.visitor, server), await anotherTab(alice.visitor, server)];
  for (const tab of tabs.slice(1)) await tab.open(bob.name);
  await bob.tab.write("to all of you");
  for (const tab of tabs) await tab.see("to all of you");
  for (const [number, tab] of tabs.entries()) await tab.write(`from tab ${number}`);
  for (const tab of [...tabs, bob.tab]) {
    for (const number of tabs.keys()) await tab.see(`from tab ${number}`);
    assert.equal(await tab.page.locator("#ended").isVisible(), false);
    await tab.live();
  }
  const devices = await Promise.all(tabs.map(async ({ page }) => (await storedSession(page)).device));
  assert.equal(new Set(devices).size, tabs.length);
  await close();
});

test("row 10, cannot come back after a reload: the same device, with everything that came meanwhile", async () => {
  const { alice, bob, close } = await newPair(server);
  const { device } = await storedSession(alice.page);
  for (let round = 0; round < 3; ++round) {
    await bob.tab.write(`round ${round}`);
    await alice.page.reload();
    await alice.tab.live();
    await alice.tab.see(`round ${round}`);
    assert.equal((await storedSession(alice.page)).device, device);
    assert.equal(await alice.tab.message(`round ${round}`).count(), 1);
  }
  await bob.tab.state("round 2", "read");
  await close();
});
