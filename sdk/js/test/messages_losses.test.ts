/** What messages survive: dead pages and connections, restored servers, a gateway gone wrong. */
import { describe, expect, test } from "vitest";

import { alice, bob } from "./fake_server.js";
import { keyOf } from "./fake_messages.js";
import { chatting, makeWorld, pass, sends, useFakeTime } from "./helpers.js";

useFakeTime();

describe("After a death of the page", () => {
  test("between the listener's end and the note of it, the message comes again, marked", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const b = await chatting(world, bob, tab);
    world.server.messages.write(alice, bob, "one");
    // The note of the beginning takes a millisecond; that of the end is not in the storage yet.
    await pass(1);
    expect(b.heard).toEqual(["one"]);
    tab.reload();
    const after = await chatting(world, bob, tab);
    await pass(500);
    expect(after.heard).toEqual(["one (again)"]);
    expect(after.resets).toEqual([]);
  });

  test("that had noted what it handled nothing comes again, even if it was never acknowledged", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const b = await chatting(world, bob, tab);
    world.server.refuseNext("ack", { code: 113, temporary: true, retry_after_ms: 60_000 });
    world.server.messages.write(alice, bob, "one");
    await pass(100);
    expect(b.heard).toEqual(["one"]);
    expect(world.server.messages.inbox(bob).cursors.get(b.client.info?.device ?? "")).toBe(0);
    tab.reload();
    world.server.last.close(1006);
    const after = await chatting(world, bob, tab);
    world.server.messages.write(alice, bob, "two");
    await pass(500);
    expect(after.heard).toEqual(["two"]);
    expect(world.server.messages.inbox(bob).cursors.get(after.client.info?.device ?? "")).toBe(2);
  });

  test("and of its storage, what it may have had comes marked", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    await chatting(world, bob, tab);
    world.server.messages.write(alice, bob, "one");
    await pass(500);
    world.server.messages.silent = true;
    world.server.messages.write(alice, bob, "two");
    tab.reload();
    world.server.last.close(1006);
    await Promise.all([world.browser.disk.removeAll(""), pass(10)]);
    world.server.messages.silent = false;
    const after = await chatting(world, bob, tab);
    await pass(500);
    expect(after.heard).toEqual(["two (again)"]);
    expect(after.resets).toEqual([]);
  });

  test("a storage that fails is done without, and the log says so", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    world.browser.disk.failing = true;
    world.server.messages.write(alice, bob, "one");
    await pass(500);
    expect(b.heard).toEqual(["one"]);
    expect(world.server.last.sent("ack").at(-1)).toMatchObject({ offset: 1 });
    expect(b.diary.lines.join("\n")).toContain("Storage (indexeddb) failed");
    const { message } = b.client.messages.conversation("alice").send("still");
    await pass(50);
    expect(message.state).toBe("accepted");
  });
});

describe("Losses of the connection", () => {
  test("are recovered without a hole, with nothing received and any number of times, in both directions", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    let recovered = 0;
    b.client.messages.on("recovered", () => ++recovered);
    for (let round = 1; round <= 10; ++round) {
      world.server.crash();
      a.client.messages.conversation("bob").send(`message ${round}`);
      world.server.crash();
      await pass(16_000);
    }
    for (let round = 0; round < 5; ++round) {
      world.server.crash();
      await pass(16_000);
    }
    expect(b.heard).toEqual(Array.from({ length: 10 }, (_, index) => `message ${index + 1}`));
    expect(recovered).toBeGreaterThanOrEqual(15);
    expect(b.resets).toEqual([]);
    expect(a.client.messages.unsentCount).toBe(0);
  });

  test("before the answer to a send do not double it", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    world.server.messages.loseAnswers = 1;
    const { message } = a.client.messages.conversation("bob").send("once");
    await pass(3_000);
    expect(b.heard).toEqual(["once"]);
    expect(message.state).toBe("delivered");
    expect(sends(world).length).toBeLessThanOrEqual(2);
    expect(new Set(sends(world).map((body) => JSON.stringify(body))).size).toBe(1);
  });

  test("lose no receipt: the state of the conversation has it", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const { message } = a.client.messages.conversation("bob").send("hello");
    await pass(100);
    const told: number[] = [];
    a.client.messages.on("receipts", ({ delivered }) => told.push(delivered));
    world.server.last.close(1006);
    world.server.down = true;
    world.server.messages.conversations.get(message.conversation ?? "")?.horizons.set(keyOf(bob), { delivered: 1, read: 1 });
    await pass(5_000);
    world.server.down = false;
    await pass(16_000);
    expect(message.state).toBe("read");
    expect(told).toEqual([1]);
  });

  test("and sleep: a page that wakes up hears what it missed", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const b = await chatting(world, bob, tab);
    // The socket dies without a word, and the page hears nothing until it is shown again, from the cache or not.
    world.server.last.finish(1006);
    for (let index = 1; index <= 500; ++index) world.server.messages.write(alice, bob, `message ${index}`);
    await pass(20_000);
    expect(b.heard).toEqual([]);
    tab.wake();
    await pass(9_000);
    expect(b.heard).toHaveLength(500);
    expect(new Set(b.heard).size).toBe(500);
    expect(world.server.messages.wrongAcks).toEqual([]);
  });

  test("of a publication are noticed through `top`", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    world.server.messages.silent = true;
    world.server.messages.write(alice, bob, "unheard");
    world.server.messages.silent = false;
    await pass(1_000);
    expect(b.heard).toEqual([]);
    world.server.last.push("top", { epoch: "epoch-1", top: 1 });
    await pass(6_000);
    expect(b.heard).toEqual(["unheard"]);
  });
});

test("A device that was away for 10,000 messages gets all of them, in order, with few acknowledgements", async () => {
  const world = makeWorld();
  const tab = world.browser.openTab();
  const b = await chatting(world, bob, tab);
  b.client.disconnect();
  await pass(50);
  for (let index = 1; index <= 10_000; ++index) world.server.messages.write(alice, bob, `${index}`);
  void b.client.connect();
  await pass(30_000);
  expect(b.heard).toHaveLength(10_000);
  expect(b.heard.every((text, index) => text === `${index + 1}`)).toBe(true);
  expect(b.resets).toEqual([]);
  expect(world.server.last.sent("ack").length).toBeLessThan(200);
  expect(world.server.messages.inbox(bob).cursors.get(b.client.info?.device ?? "")).toBe(10_000);
});

describe("A restored server", () => {
  test("is told as a reset, and what comes again is marked", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    for (const text of ["one", "two", "three"]) world.server.messages.write(alice, bob, text);
    await pass(500);
    world.server.messages.restore(bob, 1);
    world.server.messages.write(alice, bob, "other two");
    world.server.crash();
    await pass(1_000);
    expect(b.resets).toEqual(["epoch"]);
    expect(b.heard).toEqual(["one", "two", "three", "other two (again)"]);
    world.server.messages.write(alice, bob, "new");
    await pass(500);
    expect(b.heard.at(-1)).toBe("new");
  });

  test("and a device that was away for longer than messages are kept", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    world.server.messages.write(alice, bob, "one");
    await pass(500);
    world.server.down = true;
    world.server.crash();
    for (const text of ["two", "three", "four"]) world.server.messages.write(alice, bob, text);
    world.server.messages.inbox(bob).expire(3);
    world.server.down = false;
    await pass(20_000);
    expect(b.resets).toEqual(["floor"]);
    expect(b.heard).toEqual(["one", "four (again)"]);
  });
});

describe("A hostile or broken gateway", () => {
  test("cannot break the client with what it pushes", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    const bad: unknown[] = [
      null, 7, [], {}, { entries: 7 }, { epoch: "epoch-1", entries: [null] }, { epoch: "epoch-1", entries: [{ offset: 1 }] },
      { epoch: "epoch-1", entries: [{ offset: 1, chain: "0123456789abcdef", kind: "message" }] },
      { epoch: "epoch-1", entries: [{ offset: 1e300, chain: "0123456789abcdef" }] },
      { epoch: "epoch-1", entries: [{ __proto__: { offset: 1 } }] },
    ];
    for (const kind of ["inbox", "reset", "top", "receipts", "typing", "presence", "unheard"]) {
      for (const body of bad) world.server.last.send({ push: { [kind]: body } });
    }
    await pass(120_000);
    world.server.messages.write(alice, bob, "well");
    await pass(60_000);
    expect(b.heard).toEqual(["well"]);
    expect(b.client.state).toBe("connected");
    expect(world.server.connections.length).toBeLessThan(3);
  });

  test("is passed over where it uses kinds of a later version", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    world.server.messages.inbox(bob).add("x", { kind: "hologram", conv: "c-1", seq: 1 }, null);
    world.server.messages.write(alice, bob, "after it");
    await pass(500);
    expect(b.heard).toEqual(["after it"]);
  });

  test("without messages leaves the client connected, and says so", async () => {
    const world = makeWorld();
    world.server.extraInConnect = { inbox: undefined };
    const b = await chatting(world, bob);
    expect(b.client.state).toBe("connected");
    expect(b.diary.lines.join("\n")).toContain("carries no messages");
  });
});
