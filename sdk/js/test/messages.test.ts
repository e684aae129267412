import { describe, expect, test, vi } from "vitest";

import type { Message, SentMessage, SentState } from "../src/message_types.js";
import { alice, bob, type Json } from "./fake_server.js";
import { keyOf } from "./fake_messages.js";
import { chatting, makeClient, makeWorld, pass, rejection, useFakeTime, type World } from "./helpers.js";

useFakeTime();

const carol = { type: "username", endpoint: "carol" };

function statesOf(message: SentMessage): SentState[] {
  const states: SentState[] = [message.state];
  message.on("state", ({ state, previous }) => {
    if (state !== previous) states.push(state);
  });
  return states;
}

function sends(world: World): Json[] {
  return world.server.connections.flatMap((connection) => connection.sent("send"));
}

describe("A message", () => {
  test("goes from one person to another, and its receipts come back", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    const sending = a.client.messages.conversation("bob").send("hello");
    const states = statesOf(sending.message);
    expect(sending.message.state).toBe("queued");
    await pass(20);
    const sent = await sending;
    expect(sent).toBe(sending.message);
    expect(sent.seq).toBe(1);
    await pass(500);
    expect(b.heard).toEqual(["hello"]);
    expect(sent.state).toBe("delivered");
    await Promise.all([b.client.messages.conversation("alice").markRead(1), pass(20)]);
    await pass(20);
    expect(states).toEqual(["queued", "sending", "accepted", "delivered", "read"]);
    expect([sent.deliveredTo, sent.readBy]).toEqual([1, 1]);
    expect(a.client.messages.unsentCount).toBe(0);
  });

  test("with headers and attachments arrives as it was", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    const got: Message[] = [];
    b.client.messages.on("message", (message) => got.push(message));
    const content = { text: "see", headers: { x: "1" }, attachments: [{ url: "https://f.example/1", size: 7 }] };
    a.client.messages.conversation(bob).send(content);
    await pass(50);
    expect(got[0]).toMatchObject({ ...content, from: alice, outgoing: false, seq: 1, kind: "message" });
    expect(got[0]?.time).toBeInstanceOf(Date);
  });

  test("that is empty fails at once; a person nobody is fails with the server's code", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    expect((await rejection(a.client.messages.conversation("bob").send(""))).code).toBe(107);
    world.server.refuseNext("send", { code: 102, message: "There is no such user." });
    const sending = a.client.messages.conversation("nobody").send("hello");
    await pass(50);
    expect(sending.message.state).toBe("failed");
    expect(sending.message.error?.code).toBe(102);
    expect(a.client.messages.unsentCount).toBe(1);
    a.client.messages.retry(sending.message);
    await pass(50);
    expect(sending.message.state).not.toBe("failed");
    expect((await sending.message.accepted).seq).toBe(1);
    expect(new Set(sends(world).map((body) => body["msg_id"])).size).toBe(1);
  });

  test("to several, or in a group, is delivered when everybody has it", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    await chatting(world, bob);
    const { message } = a.client.messages.conversation(["bob", "carol"]).send("both");
    await pass(500);
    expect([message.state, message.deliveredTo]).toEqual(["accepted", 1]);
    const c = await chatting(world, carol);
    await pass(500);
    expect(c.heard).toEqual(["both"]);
    expect(message.state).toBe("delivered");

    const made = a.client.messages.createGroup("Friends", ["bob", "carol"]);
    await pass(50);
    const group = await made;
    const { message: third } = group.send("to the group");
    await pass(500);
    expect(c.heard).toEqual(["both", "to the group"]);
    expect(third.state).toBe("delivered");
  });

  test("that did not reach its recipient has failed", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const failures: string[] = [];
    a.client.messages.on("failed", ({ user, error }) => failures.push(`${user.endpoint} ${error.code}`));
    const { message } = a.client.messages.conversation("bob").send({ text: "soon", expiresIn: 60 });
    await pass(500);
    const inbox = world.server.messages.inbox(alice);
    const reason = { code: 213, message: "The message has expired." };
    inbox.add("f", { kind: "failed", conv: message.conversation, seq: 1, msg_id: message.id, user: bob, reason }, null);
    world.server.messages.pumpAll();
    await pass(50);
    expect(failures).toEqual(["bob 213"]);
    expect(message.state).toBe("failed");
  });
});

describe("Other devices of the sender", () => {
  test("get a copy, and the device itself its own", async () => {
    const world = makeWorld();
    const first = await chatting(world, alice);
    const second = await chatting(world, alice);
    const copies: string[] = [];
    first.client.messages.on("sent", ({ text, outgoing, seq }) => copies.push(`first ${text} ${outgoing} ${seq}`));
    second.client.messages.on("sent", ({ text, outgoing, seq }) => copies.push(`second ${text} ${outgoing} ${seq}`));
    first.client.messages.conversation("bob").send("hello");
    await pass(500);
    expect(copies.sort()).toEqual(["first hello true 1", "second hello true 1"]);
  });

  test("that wrote before a reload get its text from the history", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const a = await chatting(world, alice, tab);
    world.server.messages.silent = true;
    a.client.messages.conversation("bob").send("before the reload");
    await pass(50);
    tab.reload();
    world.server.last.close(1001);
    world.server.messages.silent = false;
    const copies: string[] = [];
    const after = makeClient(world, { capabilities: ["messaging"], getTicket: () => world.server.mint() }, tab);
    after.client.messages.on("sent", ({ text }) => copies.push(text));
    void after.client.connect();
    await pass(200);
    expect(copies).toEqual(["before the reload"]);
  });
});

describe("Listeners", () => {
  test("have a message before it is acknowledged, one at a time", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob, world.browser.openTab(), false);
    const begun: string[] = [];
    let finish: () => void = () => undefined;
    b.client.messages.on("message", ({ text }) => {
      begun.push(text);
      return new Promise<void>((done) => (finish = done));
    });
    world.server.messages.write(alice, bob, "one");
    world.server.messages.write(alice, bob, "two");
    await pass(1_000);
    expect(begun).toEqual(["one"]);
    expect(world.server.last.sent("ack")).toEqual([]);
    finish();
    await pass(1_000);
    expect(begun).toEqual(["one", "two"]);
    expect(world.server.last.sent("ack").at(-1)).toEqual({ epoch: "epoch-1", offset: 1 });
  });

  test("that never finish have had their chance after 30 s; those that throw at once", async () => {
    const complain = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const world = makeWorld();
    const b = await chatting(world, bob, world.browser.openTab(), false);
    b.client.messages.on("message", () => new Promise(() => undefined));
    b.client.messages.on("message", () => {
      throw new Error("of the page");
    });
    b.client.messages.on("message", () => Promise.reject(new Error("of the page, too")));
    world.server.messages.write(alice, bob, "one");
    await pass(29_000);
    expect(world.server.last.sent("ack")).toEqual([]);
    await pass(2_000);
    expect(world.server.last.sent("ack").at(-1)).toMatchObject({ offset: 1 });
    expect(b.diary.lines.join("\n")).toContain("took longer than 30 s");
    expect(complain).toHaveBeenCalledTimes(2);
    complain.mockRestore();
  });

  test("are waited for: what comes before there is one is not lost", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob, world.browser.openTab(), false);
    world.server.messages.write(alice, bob, "early");
    await pass(5_000);
    expect(world.server.last.sent("ack")).toEqual([]);
    const heard: string[] = [];
    b.client.messages.on("message", ({ text }) => heard.push(text));
    await pass(50);
    expect(heard).toEqual(["early"]);
  });

  test("of a loop have each message until they ask for the next", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob, world.browser.openTab(), false);
    const conversation = b.client.messages.conversation("alice");
    const heard: string[] = [];
    const loop = (async () => {
      for await (const { text } of conversation) {
        heard.push(text);
        await new Promise((done) => setTimeout(done, 1_000));
        if (text === "three") break;
      }
    })();
    world.server.messages.write(carol, bob, "of somebody else");
    for (const text of ["one", "two", "three"]) world.server.messages.write(alice, bob, text);
    await pass(500);
    expect(heard).toEqual(["one"]);
    await pass(1_000);
    expect(heard).toEqual(["one", "two"]);
    expect(world.server.last.sent("ack").at(-1)).toMatchObject({ offset: 2 });
    await pass(3_000);
    await loop;
    expect(heard).toEqual(["one", "two", "three"]);
  });
});

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

describe("A clock that is two hours off", () => {
  test.each([-7_200_000, 7_200_000])("by %i ms changes nothing", async (offset) => {
    const world = makeWorld();
    world.server.clockOffsetMs = offset;
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    const { message } = a.client.messages.conversation("bob").send({ text: "hello", expiresIn: 60 });
    await pass(500);
    expect(b.heard).toEqual(["hello"]);
    expect(message.state).toBe("delivered");
    expect(Math.abs(message.created.getTime() - (message.time?.getTime() ?? 0))).toBeLessThan(100);
    // The id tells the server's time, too.
    const time = Number.parseInt(message.id.replace(/-/g, "").slice(0, 12), 16);
    expect(Math.abs(time - world.server.now())).toBeLessThan(2_000);
  });
});

describe("Conversations", () => {
  test("tell their state, history and members", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    for (let index = 1; index <= 5; ++index) world.server.messages.write(bob, alice, `message ${index}`);
    const conversation = a.client.messages.conversation("bob");
    await pass(50);
    const asked = Promise.all([
      conversation.info(),
      conversation.history({ limit: 2 }),
      conversation.members(),
      a.client.messages.conversations(),
    ]);
    await pass(50);
    const [info, history, members, listed] = await asked;
    expect(info).toMatchObject({ top: 5, group: false, memberCount: 2, member: true, last: { text: "message 5" } });
    expect(history.messages.map(({ text }) => text)).toEqual(["message 5", "message 4"]);
    expect(history.more).toBe(true);
    expect(members.members.map(({ user }) => user.endpoint).sort()).toEqual(["alice", "bob"]);
    expect(listed.items).toHaveLength(1);
    expect(conversation.id).toBe(info.conversation);
    expect(conversation.stateOf(1)).toBe("accepted");
  });

  test("wait for a connection, and give up after 15 s", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    world.server.down = true;
    world.server.crash();
    const asked = a.client.messages.conversation("bob").history();
    await pass(5_000);
    world.server.down = false;
    await pass(9_000);
    expect((await asked).messages).toEqual([]);
    world.server.down = true;
    world.server.crash();
    const late = rejection(a.client.messages.blocked());
    await pass(16_000);
    expect((await late).code).toBe(901);
  });

  test("wait as long as the gateway asks", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    world.server.refuseNext("blocked", { code: 111, temporary: true, retry_after_ms: 300 });
    const asked = a.client.messages.blocked();
    await pass(290);
    expect(world.server.last.sent("blocked")).toHaveLength(1);
    await pass(100);
    expect(await asked).toEqual([]);
  });

  test("show who types, until they stop, write, or are not heard of for 10 s", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const b = await chatting(world, bob);
    const seen: boolean[] = [];
    b.client.messages.on("typing", ({ typing }) => seen.push(typing));
    const conversation = a.client.messages.conversation("bob");
    for (let key = 0; key < 20; ++key) {
      conversation.typing(true);
      await pass(100);
    }
    expect(seen).toEqual([true]);
    expect(world.server.live[0]?.sent("typing")).toHaveLength(1);
    conversation.typing(false);
    await pass(50);
    conversation.typing(true);
    await pass(50);
    await pass(11_000);
    conversation.typing(true);
    await pass(50);
    conversation.send("done");
    await pass(50);
    expect(seen).toEqual([true, false, true, false, true, false]);
  });

  test("mark what was read, only ever forward", async () => {
    const world = makeWorld();
    const b = await chatting(world, bob);
    for (let index = 1; index <= 5; ++index) world.server.messages.write(alice, bob, `message ${index}`);
    const conversation = b.client.messages.conversation("alice");
    await Promise.all([conversation.markRead(4), conversation.markRead(2), pass(50)]);
    await Promise.all([conversation.markRead(4), pass(50)]);
    expect(world.server.last.sent("read").map(({ seq }) => seq)).toEqual([4]);
  });

  test("of people who block each other are refused", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    await Promise.all([a.client.messages.block("bob"), pass(50)]);
    const blocked = a.client.messages.blocked();
    await pass(50);
    expect(await blocked).toEqual([bob]);
    const refused = rejection(a.client.messages.conversation("bob").send("hello"));
    await pass(50);
    expect((await refused).code).toBe(214);
  });
});

describe("Presence", () => {
  test("is told at once, at each change, and again after a reconnect", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    const seen: string[] = [];
    const stop = a.client.messages.watch(["bob"], ({ state }) => seen.push(state));
    await pass(50);
    world.server.live[0]?.push("presence", { user: bob, state: "online", devices: 1 });
    world.server.crash();
    await pass(1_000);
    expect(seen).toEqual(["offline", "online", "offline"]);
    stop();
    await pass(50);
    expect(world.server.last.sent("presence.unwatch")).toHaveLength(1);
    a.client.messages.setAway(true);
    await pass(50);
    world.server.crash();
    await pass(1_000);
    expect(world.server.last.sent("presence.set")).toEqual([{ state: "away" }]);
  });
});

test("Without the capability there are no messages, and nothing is said of them", async () => {
  const world = makeWorld();
  const { client } = makeClient(world);
  expect(() => client.messages).toThrow(expect.objectContaining({ code: 108 }));
  void client.connect();
  await pass(50);
  expect(world.server.last.sent("connect")[0]).not.toHaveProperty("resume");
  expect(client.unsentCount).toBe(0);
});
