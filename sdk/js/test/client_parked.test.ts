/** Pages that go into the browser's back/forward cache and come out of it again. */
import { describe, expect, test } from "vitest";

import { alice, bob } from "./fake_server.js";
import { chatting, connected, makeClient, makeWorld, pass, useFakeTime } from "./helpers.js";

useFakeTime();

describe("A page in the back/forward cache", () => {
  test("has no connection, and is the same instance when it comes back", async () => {
    const world = makeWorld();
    const { client, diary, asked } = await connected(world);
    const comeBack = world.tab.leave();
    await pass(10);
    expect([client.state, world.server.live.length]).toEqual(["connecting", 0]);
    await pass(600_000);
    expect(world.server.connections).toHaveLength(1);
    comeBack();
    await pass(20);
    expect(client.state).toBe("connected");
    expect(world.server.last.sent("connect")[0]).toMatchObject({ instance: "instance-1" });
    expect([asked(), diary.ends]).toEqual([1, []]);
  });

  test("leaves its device and session to the next page of the tab, and has them back after it", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const device = first.client.info?.device;
    const comeBack = world.tab.leave();
    await pass(10);
    const second = await connected(world);
    expect([second.client.info?.device, second.client.info?.resumed, second.asked()]).toEqual([device, true, 0]);
    comeBack();
    await pass(400);
    expect(first.client.state).toBe("connected");
    expect(first.client.info?.device).toBe(device);
    expect([first.diary.ends, second.diary.ends]).toEqual([[], []]);
  });

  test("becomes a device of its own when another tab lives with its id by then", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const device = first.client.info?.device;
    const comeBack = world.tab.leave();
    const other = await connected(world, {}, world.tab.duplicate());
    expect(other.client.info?.device).toBe(device);
    comeBack();
    await pass(400);
    expect(first.client.state).toBe("connected");
    expect(first.client.info?.device).not.toBe(device);
    expect(other.client.state).toBe("connected");
    expect([first.diary.ends, other.diary.ends]).toEqual([[], []]);
  });

  test("without a way to a ticket ends instead, and says why", async () => {
    const world = makeWorld();
    const first = makeClient(world, { getTicket: undefined });
    const ready = first.client.connect({ userTicket: world.server.mint() });
    await pass(50);
    await ready;
    const comeBack = world.tab.leave();
    const other = await connected(world, {}, world.tab.duplicate());
    comeBack();
    await pass(400);
    expect(first.diary.ends).toMatchObject([{ kind: "refused", code: 909 }]);
    expect(other.client.state).toBe("connected");
  });

  test("that was just connecting with its first ticket goes on with it", async () => {
    const world = makeWorld();
    world.server.down = true;
    const { client } = makeClient(world, { getTicket: undefined });
    const ready = client.connect({ userTicket: world.server.mint() });
    await pass(500);
    const comeBack = world.tab.leave();
    await pass(30_000);
    world.server.down = false;
    comeBack();
    await pass(50);
    expect((await ready).user.endpoint).toBe("alice");
  });

  test("whose person has signed out meanwhile is told so", async () => {
    const world = makeWorld();
    let signedIn = true;
    const { client, diary } = await connected(world, {
      getTicket: () => (signedIn ? world.server.mint({ session: "sign-in-1" }) : null),
    });
    const comeBack = world.tab.leave();
    signedIn = false;
    world.server.revoke("sign-in-1");
    comeBack();
    await pass(1_000);
    expect(client.state).toBe("disconnected");
    expect(diary.ends).toMatchObject([{ kind: "expired" }]);
  });
});

describe("Messages of a page in the back/forward cache", () => {
  test("that came meanwhile are heard once, and what was left unsent goes", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const b = await chatting(world, bob, tab);
    for (let round = 1; round <= 3; ++round) {
      const comeBack = tab.leave();
      await pass(10);
      world.server.messages.write(alice, bob, `while away ${round}`);
      await pass(5_000);
      comeBack();
      const { message } = b.client.messages.conversation("alice").send(`back ${round}`);
      await pass(500);
      expect(message.state).toBe("accepted");
    }
    expect(b.heard).toEqual(["while away 1", "while away 2", "while away 3"]);
    expect(b.resets).toEqual([]);
    expect(world.server.messages.inbox(bob).cursors.get(b.client.info?.device ?? "")).toBeGreaterThanOrEqual(3);
  });

  test("are not held up by it: the next page of the tab sends, and what both hear is marked", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const first = await chatting(world, bob, tab);
    const comeBack = tab.leave();
    const second = await chatting(world, bob, tab);
    const { message } = second.client.messages.conversation("alice").send("from the next page");
    world.server.messages.write(alice, bob, "for the next page");
    await pass(1_000);
    expect(message.state).toBe("accepted");
    expect(second.heard).toEqual(["for the next page"]);
    comeBack();
    await pass(1_000);
    // This page shows it for the first time, but the device has had it.
    expect(first.heard).toEqual(["for the next page (again)"]);
  });

  test("are marked also if the next page was left before it acknowledged them: its note tells", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab();
    const first = await chatting(world, bob, tab);
    const comeBack = tab.leave();
    const second = await chatting(world, bob, tab);
    world.server.refuseNext("ack", { code: 113, temporary: true, retry_after_ms: 60_000 });
    world.server.messages.write(alice, bob, "for the next page");
    await pass(100);
    expect(second.heard).toEqual(["for the next page"]);
    expect(world.server.messages.inbox(bob).cursors.get(second.client.info?.device ?? "")).toBe(0);
    comeBack();
    await pass(1_000);
    world.server.messages.write(alice, bob, "for this page");
    await pass(500);
    expect(first.heard).toEqual(["for the next page (again)", "for this page"]);
  });
});
