/** Messages from hand to hand: sending, receipts, copies, listeners. */
import { describe, expect, test, vi } from "vitest";

import type { Message, SentMessage, SentState } from "../src/message_types.js";
import { alice, bob } from "./fake_server.js";
import { chatting, makeClient, makeWorld, pass, rejection, sends, useFakeTime } from "./helpers.js";

useFakeTime();

const carol = { type: "username", endpoint: "carol" };

function statesOf(message: SentMessage): SentState[] {
  const states: SentState[] = [message.state];
  message.on("state", ({ state, previous }) => {
    if (state !== previous) states.push(state);
  });
  return states;
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

  test("whose failure comes before the answer to it was accepted then, and is not sent again", async () => {
    const world = makeWorld();
    const a = await chatting(world, alice);
    world.server.refuseNext("send", { code: 100, message: "Something went wrong." });
    const { message } = a.client.messages.conversation("bob").send("long ago");
    await pass(20);
    expect(message.seq).toBeNull();
    const reason = { code: 213, message: "The message has expired." };
    world.server.messages.inbox(alice).add("f", { kind: "failed", conv: "c-1", seq: 7, msg_id: message.id, user: bob, reason }, null);
    world.server.messages.pumpAll();
    await pass(60_000);
    expect([message.state, message.seq, message.error?.code]).toEqual(["failed", 7, 213]);
    expect(a.client.messages.unsentCount).toBe(0);
    expect(sends(world)).toHaveLength(1);
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

test("Without the capability there are no messages, and nothing is said of them", async () => {
  const world = makeWorld();
  const { client } = makeClient(world);
  expect(() => client.messages).toThrow(expect.objectContaining({ code: 108 }));
  void client.connect();
  await pass(50);
  expect(world.server.last.sent("connect")[0]).not.toHaveProperty("resume");
  expect(client.unsentCount).toBe(0);
});
