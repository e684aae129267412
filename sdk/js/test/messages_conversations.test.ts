/** Conversations and presence: what the page asks for, and what it is told of others. */
import { describe, expect, test } from "vitest";

import { alice, bob } from "./fake_server.js";
import { chatting, makeWorld, pass, rejection, useFakeTime } from "./helpers.js";

useFakeTime();

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
