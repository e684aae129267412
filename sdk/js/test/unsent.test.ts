/** The queue of unsent messages across reloads, tabs, offline times and sign-outs. */
import { describe, expect, test } from "vitest";

import type { SentMessage, UnsentEvent } from "../src/message_types.js";
import { alice, bob } from "./fake_server.js";
import { chatting, makeWorld, pass, rejection, useFakeTime, type World } from "./helpers.js";

useFakeTime();

function offline(world: World): void {
  world.server.down = true;
  world.server.crash();
}

function texts(world: World): string[] {
  return [...world.server.messages.conversations.values()].flatMap(({ messages }) =>
    messages.map(({ text }) => String(text)),
  );
}

describe("Unsent messages", () => {
  test("wait while there is no connection, and go out in order", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    offline(world);
    const conversation = a.client.messages.conversation("bob");
    const sent = ["one", "two", "three"].map((text) => conversation.send(text).message);
    await pass(60_000);
    expect(sent.map(({ state }) => state)).toEqual(["queued", "queued", "queued"]);
    expect(a.client.unsentCount).toBe(3);
    world.server.down = false;
    await pass(16_000);
    expect(texts(world)).toEqual(["one", "two", "three"]);
    expect(sent.map(({ state }) => state)).toEqual(["accepted", "accepted", "accepted"]);
    const kept = world.browser.disk.list("outbox/");
    await pass(1);
    expect(await kept).toEqual([]);
  });

  test("survive a reload without a network, and are shown again", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const a = await chatting(world, alice, tab);
    offline(world);
    a.client.messages.conversation("bob").send("before");
    await pass(100);
    tab.reload();
    world.server.down = false;
    world.server.refuseNext("send", { code: 113, temporary: true, retry_after_ms: 5_000 });
    const after = await chatting(world, alice, tab);
    const listed = after.client.messages.unsent();
    await pass(1);
    const [message] = await listed;
    expect(message?.content).toEqual({ text: "before" });
    await pass(10_000);
    expect(message?.state).toBe("accepted");
    expect(texts(world)).toEqual(["before"]);
  });

  test("that reached the gateway before the page died are not doubled", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const a = await chatting(world, alice, tab);
    a.client.messages.conversation("bob").send("once");
    // Kept after 1 ms, sent at once, committed 5 ms later; the answer meets no page.
    await pass(4);
    tab.reload();
    await pass(20);
    expect(texts(world)).toEqual(["once"]);
    const after = await chatting(world, alice, tab);
    await pass(1_000);
    expect(texts(world)).toEqual(["once"]);
    expect(after.client.unsentCount).toBe(0);
  });

  test("are sent by one tab for all, and every tab hears what becomes of its own", async () => {
    const world = makeWorld();
    const first = await chatting(world, alice);
    const second = await chatting(world, alice);
    const { message } = second.client.messages.conversation("bob").send("of the second");
    await pass(200);
    expect(message.state).toBe("accepted");
    const [one, two] = world.server.connections;
    expect(one?.sent("send")).toHaveLength(1);
    expect(two?.sent("send")).toHaveLength(0);
    expect(first.client.unsentCount).toBe(0);

    // The sending tab goes: the other one takes over.
    first.client.disconnect();
    const { message: next } = second.client.messages.conversation("bob").send("of the second alone");
    await pass(200);
    expect(next.state).toBe("accepted");
    expect(two?.sent("send")).toHaveLength(1);
  });

  test("go out although the tab that wrote them died, through another", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const first = await chatting(world, alice, tab);
    const second = await chatting(world, alice);
    world.server.refuseNext("send", { code: 113, temporary: true, retry_after_ms: 60_000 });
    first.client.messages.conversation("bob").send("orphan");
    await pass(50);
    tab.reload();
    await pass(1_000);
    expect(texts(world)).toEqual(["orphan"]);
    expect(second.client.unsentCount).toBe(0);
  });

  test("go out although the tab that was sending them died, and stay in order", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    await chatting(world, alice, tab);
    const second = await chatting(world, alice);
    world.server.refuseNext("send", { code: 113, temporary: true, retry_after_ms: 60_000 });
    const conversation = second.client.messages.conversation("bob");
    const { message } = conversation.send("one");
    const { message: next } = conversation.send("two");
    await pass(50);
    tab.reload();
    await pass(1_000);
    expect(texts(world)).toEqual(["one", "two"]);
    expect([message.state, next.state]).toEqual(["accepted", "accepted"]);
  });

  test("are shown as waiting in every tab while the one that sends them waits", async () => {
    const world = makeWorld();
    await chatting(world, alice);
    const second = await chatting(world, alice);
    world.server.refuseNext("send", { code: 113, temporary: true, retry_after_ms: 5_000 });
    const { message } = second.client.messages.conversation("bob").send("patience");
    const states: string[] = [];
    message.on("state", ({ state }) => states.push(state));
    await pass(1_000);
    expect(states).toEqual(["sending", "queued"]);
    await pass(5_000);
    expect(states).toEqual(["sending", "queued", "sending", "accepted"]);
  });

  test.each([{ locks: false }, { broadcast: false }, { storage: false }])(
    "go out, and not twice, where tabs know nothing of each other (%j)",
    async (features) => {
      const world = makeWorld();
      const first = await chatting(world, alice, world.browser.openTab(features));
      const second = await chatting(world, alice, world.browser.openTab(features));
      const sent: SentMessage[] = [];
      for (const { client } of [first, second]) sent.push(client.messages.conversation("bob").send("hello").message);
      await pass(1_000);
      expect(texts(world)).toEqual(["hello", "hello"]);
      expect(sent.map(({ state }) => state)).toEqual(["accepted", "accepted"]);
    },
  );

  test("that failed in one tab can be retried in another, and discarded", async () => {
    const world = makeWorld();
    const first = await chatting(world, alice);
    const second = await chatting(world, alice);
    world.server.refuseNext("send", { code: 214 });
    world.server.refuseNext("send", { code: 214 });
    first.client.messages.conversation("bob").send("one");
    const { message } = first.client.messages.conversation("bob").send("two");
    await pass(200);
    const [one, two] = await Promise.all([second.client.messages.unsent(), pass(1)]).then(([list]) => list);
    expect([one?.state, two?.state, one?.error?.code]).toEqual(["failed", "failed", 214]);
    if (one === undefined || two === undefined) throw new Error("not there");
    second.client.messages.retry(one);
    second.client.messages.discard(two);
    await pass(200);
    expect(texts(world)).toEqual(["one"]);
    expect(message.error?.code).toBe(214);
    expect([first.client.unsentCount, second.client.unsentCount]).toEqual([0, 0]);
    expect(() => second.client.messages.retry(one)).toThrow(expect.objectContaining({ code: 105 }));
  });

  test("of another person in the same browser stay theirs", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    offline(world);
    a.client.messages.conversation("carol").send("of Alice");
    await pass(100);
    a.client.disconnect();
    world.server.down = false;
    const b = await chatting(world, bob);
    await pass(1_000);
    expect(b.client.unsentCount).toBe(0);
    expect(texts(world)).toEqual([]);
  });

  test("are at most a thousand", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    offline(world);
    const conversation = a.client.messages.conversation("bob");
    for (let index = 0; index < 1_000; ++index) conversation.send(`message ${index}`);
    expect((await rejection(conversation.send("one more"))).code).toBe(106);
  });

  test("are recognised as accepted by the inbox when nobody told this tab", async () => {
    const world = makeWorld();
    const first = await chatting(world, alice);
    const second = await chatting(world, alice);
    world.browser.channels.all.clear();
    const { message } = second.client.messages.conversation("bob").send("unheard of");
    await pass(50);
    expect(message.state).toBe("queued");
    first.client.disconnect();
    await pass(500);
    expect(message.state).toBe("accepted");
    expect(texts(world)).toEqual(["unheard of"]);
  });
});

describe("Unsent messages, when the storage fails,", () => {
  test.each(["failing", "full"] as const)("go out all the same, those it had taken as well (%s)", async (trouble) => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    offline(world);
    const conversation = a.client.messages.conversation("bob");
    const { message } = conversation.send("one");
    await pass(100);
    world.browser.disk[trouble] = true;
    const { message: next } = conversation.send("two");
    await pass(100);
    world.server.down = false;
    await pass(16_000);
    expect(texts(world)).toEqual(["one", "two"]);
    expect([message.state, next.state, a.client.unsentCount]).toEqual(["accepted", "accepted", 0]);
  });

  test("go out although the person was away from this page in between", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    offline(world);
    a.client.messages.conversation("bob").send("later");
    await pass(100);
    world.browser.disk.failing = true;
    await Promise.all([a.client.terminate(), pass(2_000)]);
    world.server.down = false;
    await Promise.all([a.client.connect(), pass(500)]);
    expect(texts(world)).toEqual(["later"]);
  });

  test.each(["failing", "full"] as const)("go out through another tab that has heard of them (%s)", async (trouble) => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const first = await chatting(world, alice, tab);
    const second = await chatting(world, alice);
    offline(world);
    world.browser.disk[trouble] = true;
    first.client.messages.conversation("bob").send("heard of");
    await pass(100);
    tab.reload();
    world.server.down = false;
    await pass(16_000);
    expect(texts(world)).toEqual(["heard of"]);
    expect(second.client.unsentCount).toBe(0);
  });

  test("are kept by another tab whose storage does not", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab({ storage: false });
    const first = await chatting(world, alice, tab);
    const second = await chatting(world, alice);
    offline(world);
    first.client.messages.conversation("bob").send("kept");
    await pass(100);
    tab.reload();
    second.client.disconnect();
    world.server.down = false;
    await chatting(world, alice);
    await pass(500);
    expect(texts(world)).toEqual(["kept"]);
  });

  test("are removed from it when they are discarded, and at sign-out", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    offline(world);
    const conversation = a.client.messages.conversation("bob");
    const { message } = conversation.send("one");
    conversation.send("two");
    await pass(100);
    world.browser.disk.full = true;
    conversation.send("three");
    await pass(100);
    a.client.messages.discard(message);
    const left = Promise.all([pass(100), world.browser.disk.list("outbox/")]).then(([, found]) => found.length);
    await pass(100);
    expect(await left).toBe(1);
    await Promise.all([a.client.signOut({ discardUnsent: true }), pass(2_000)]);
    const after = world.browser.disk.list("");
    await pass(10);
    expect(await after).toEqual([]);
  });
});

describe("Signing out", () => {
  test("is held up by unsent messages, with their number, until they may be lost", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const other = await chatting(world, alice);
    const warnings: UnsentEvent[] = [];
    a.client.messages.on("unsent", (event) => warnings.push(event));
    offline(world);
    const { message } = a.client.messages.conversation("bob").send("unsent");
    await pass(100);
    const refused = await rejection(a.client.signOut());
    expect(refused).toMatchObject({ code: 910, message: "A message is still waiting to be sent." });
    expect(a.client.state).toBe("connecting");
    expect(warnings.at(-1)).toEqual({ count: 1, why: "sign_out" });
    await Promise.all([a.client.signOut({ discardUnsent: true }), pass(2_000)]);
    expect(message.state).toBe("failed");
    expect(other.client.state).toBe("disconnected");
    const left = Promise.all([world.browser.disk.list("outbox/"), world.browser.disk.list("note/")]);
    await pass(10);
    expect(await left).toEqual([[], []]);
  });

  test("with nothing unsent leaves nothing of the person in the browser", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    world.server.messages.write(bob, alice, "hello");
    await pass(500);
    await Promise.all([a.client.signOut(), pass(50)]);
    const left = world.browser.disk.list("");
    await pass(10);
    const device = b.client.info?.device ?? "";
    expect((await left).map(([key]) => key.includes(device) && key.includes("bob"))).toEqual([true]);
  });

  test("by terminate() keeps what is unsent for the person's next time, and says so", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const a = await chatting(world, alice, tab);
    const warnings: UnsentEvent[] = [];
    a.client.messages.on("unsent", (event) => warnings.push(event));
    offline(world);
    a.client.messages.conversation("bob").send("later");
    await pass(100);
    await Promise.all([a.client.terminate(), pass(2_000)]);
    expect(warnings.at(-1)).toEqual({ count: 1, why: "terminate" });
    world.server.down = false;
    await chatting(world, alice, world.browser.openTab());
    await pass(500);
    expect(texts(world)).toEqual(["later"]);
  });
});

test("A message can be written before the client knows whose it is, and not before it is started", async () => {
  const world = makeWorld();
  const a = await chatting(world, alice);
  await Promise.all([a.client.terminate(), pass(50)]);
  expect((await rejection(a.client.messages.conversation("bob").send("nobody's"))).code).toBe(105);
  const ready = a.client.connect();
  const { message } = a.client.messages.conversation("bob").send("early");
  await pass(100);
  await ready;
  expect(message.state).toBe("accepted");
});
