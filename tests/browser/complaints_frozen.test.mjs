// Row 11 of what people complain of (docs/reference/protocol.md): a tab in the background, which the browser freezes,
// dies without a word. Chromium itself freezes it here, as it does to tabs that nobody has looked at for minutes:
// no timer and no frame reaches the page, so that it cannot answer the gateway's pings either.
import assert from "node:assert/strict";
import test from "node:test";
import { startServer } from "../support/server.mjs";
import { patienceMs } from "../support/waiting.mjs";
import { newPair } from "./support/chat.mjs";
import { freezer, openWindow } from "./support/window.mjs";

const pingSeconds = 5;
const pongSeconds = 10; // docs/reference/protocol.md
const server = await startServer({ settings: { "gateway.ping_seconds": pingSeconds } });
/** What Chromium says of the connection of a page that was frozen. */
const thawed = /^WebSocket connection to '[^']*' failed: Page entered Back-Forward Cache\.$/;

test("row 11, a sleeping tab: nothing comes while it is frozen, all of it once and in order when it wakes", async () => {
  const visitor = await openWindow();
  visitor.expect(thawed);
  const { alice, bob, close } = await newPair(server, { visitor });
  const front = await visitor.newTab();
  await front.bringToFront();
  const sleep = await freezer(alice.page);
  const said = alice.page.locator("#linkMore");
  const expected = ["first"];

  /** Freezes alice's page, has bob write, and shows that she has got nothing. */
  const night = async (round, count) => {
    await front.bringToFront();
    await alice.page.waitForFunction(() => document.visibilityState === "hidden", undefined, { polling: 100 });
    await sleep.freeze();
    const texts = Array.from({ length: count }, (_, number) => `night ${round}, ${number}`);
    for (const text of texts) await bob.tab.write(text);
    for (const text of texts) await bob.tab.state(text, "accepted");
    await nothingCame(texts);
    return texts;
  };
  const nothingCame = async (texts) => {
    assert.equal((await sleep.heard()).at(-1), "freeze");
    assert.deepEqual(await alice.tab.texts(), expected);
    assert.equal(await alice.page.locator("#chat").getAttribute("data-link"), "live", "it does not know yet");
    for (const text of texts) assert.equal(await bob.tab.message(text).getAttribute("data-state"), "accepted", text);
  };
  /** What came is there, once and in order, with no false notice; bob is told when she looks, and she answers. */
  const morning = async (round, texts) => {
    expected.push(...texts);
    await alice.tab.see(texts.at(-1));
    await alice.tab.live();
    assert.deepEqual(await alice.tab.texts(), expected);
    assert.equal((await sleep.heard()).at(-1), "resume");
    for (const id of ["reset", "ended"]) assert.equal(await alice.page.locator(`#${id}`).isVisible(), false, id);
    await alice.page.bringToFront();
    for (const text of texts) await bob.tab.state(text, "read");
    await alice.tab.write(`awake ${round}`);
    expected.push(`awake ${round}`);
    await alice.tab.state(`awake ${round}`, "read");
    assert.deepEqual(await alice.tab.texts(), expected);
    assert.deepEqual(await bob.tab.texts(), expected);
  };

  // The connection is lost each time: Chromium ends it when a frame comes for a frozen page, without a word to the
  // gateway, and tells the page when it wakes.
  let opened = 0;
  alice.page.on("websocket", () => ++opened);
  for (const { round, count, noticed, wake } of [
    { round: "one", count: 4, noticed: false, wake: () => sleep.wake() },
    { round: "two", count: 5, noticed: true, wake: () => sleep.wake() }, // still in the background
    { round: "three", count: 6, noticed: true, wake: () => alice.page.bringToFront() },
  ]) {
    const from = server.log.all.length;
    const texts = await night(round, count);
    if (noticed) {
      // Longer than the gateway waits for a pong: it closes with 4112.
      const ms = (pingSeconds + pongSeconds) * 1000 + patienceMs;
      await server.logged({ event: "client_closing", close: "no_pong" }, { from, ms });
      await nothingCame(texts);
    }
    const before = opened;
    await wake();
    await said.getByText(`Recovered without a hole: ${count} missed entries came.`).waitFor();
    await morning(round, texts);
    assert.equal(opened, before + 1, "one new connection, which stays");
  }
  await close();
});
