import { describe, expect, test } from "vitest";

import { Client } from "../src/client.js";
import { loadSession } from "../src/session_store.js";
import type { Session } from "../src/types.js";
import { FakeBrowser } from "./fake_browser.js";
import { applicationKey, bob, FakeServer } from "./fake_server.js";
import { connected, keepDiary, makeClient, makeWorld, pass, rejection, useFakeTime } from "./helpers.js";

useFakeTime();

describe("A reload", () => {
  test("takes up the same instance without a ticket", async () => {
    const world = makeWorld();
    const before = await connected(world);
    const session = before.client.getSession();
    world.tab.reload();
    world.server.last.close(1001);
    const after = await connected(world);
    expect(after.asked()).toBe(0);
    expect(after.client.info?.resumed).toBe(true);
    expect(after.client.getSession()).toEqual(session);
    expect(world.server.instances.size).toBe(1);
  });

  test("gets a ticket when the instance has ended meanwhile", async () => {
    const world = makeWorld();
    const before = await connected(world);
    before.client.disconnect();
    world.tab.reload();
    await pass(4_000_000);
    const after = await connected(world);
    expect(after.asked()).toBe(1);
    expect(after.client.info?.resumed).toBe(false);
  });

  test("gets a ticket when the sign-in has ended and somebody is signed in anew", async () => {
    const world = makeWorld();
    await connected(world, { getTicket: () => world.server.mint({ session: "first" }) });
    world.tab.reload();
    world.server.last.finish(1001);
    world.server.revoke("first");
    const after = makeClient(world, { getTicket: () => world.server.mint({ session: "second" }) });
    // The stored session was Alice's, and the new ticket is hers too.
    void after.client.connect();
    await pass(100);
    expect(after.client.state).toBe("connected");
    expect(after.diary.ends).toEqual([]);
    expect(after.asked()).toBe(1);
  });

  test("ends as expired when the sign-in has ended and nobody is signed in", async () => {
    const world = makeWorld();
    await connected(world, { getTicket: () => world.server.mint({ session: "first" }) });
    world.tab.reload();
    world.server.last.finish(1001);
    world.server.revoke("first");
    const after = makeClient(world, { getTicket: () => null });
    void after.client.connect();
    await pass(100);
    expect(after.diary.ends).toEqual([{ kind: "expired", code: 601, reason: "Expired, sign in again." }]);
  });

  test("with another person signed in by now serves that person, not the stored one", async () => {
    const world = makeWorld();
    await connected(world, { getTicket: () => world.server.mint({ session: "first" }) });
    world.tab.reload();
    world.server.last.finish(1001);
    world.server.revoke("first");
    const named = makeClient(world, { identity: bob, getTicket: () => world.server.mint({ identity: bob }) });
    void named.client.connect();
    await pass(100);
    expect(named.client.info?.user).toEqual(bob);
    expect(named.client.info?.resumed).toBe(false);
  });

  test("does not take up another application's session", async () => {
    const world = makeWorld();
    await connected(world);
    world.tab.reload();
    world.server.last.finish(1001);
    const other = makeClient(world, {
      applicationKey: "another",
      getTicket: () => world.server.mint({ applicationKey: "another" }),
    });
    void other.client.connect();
    await pass(100);
    expect(other.asked()).toBe(1);
    expect(world.server.last.sent("connect")[0]).toHaveProperty("userTicket");
  });

  test("stores nothing and takes up nothing with resume: false", async () => {
    const world = makeWorld();
    await connected(world, { resume: false });
    expect([...world.tab.storage.entries.keys()].filter((key) => key.includes("session"))).toEqual([]);
  });

  test("lets two clients of one page find their own instances again", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const second = await connected(world, { getTicket: () => world.server.mint({ identity: bob }) });
    expect(first.client.getSession()?.device).not.toBe(second.client.getSession()?.device);
    world.tab.reload();
    for (const connection of world.server.live) connection.finish(1001);
    const third = await connected(world);
    const fourth = await connected(world);
    expect(third.client.getSession()?.instance).toBe("instance-1");
    expect(fourth.client.getSession()?.instance).toBe("instance-2");
  });

  test("works where storage is forbidden: with a new ticket", async () => {
    const server = new FakeServer();
    const browser = new FakeBrowser(server);
    const tab = browser.openTab({ storage: false });
    const world = { server, browser, tab };
    await connected(world);
    tab.reload();
    server.last.finish(1001);
    const after = await connected(world);
    expect(after.asked()).toBe(1);
  });

  test("survives storage that throws at every touch", async () => {
    const world = makeWorld();
    const fail = (): never => {
      throw new DOMException("denied", "SecurityError");
    };
    const storage = { length: 3, key: fail, getItem: fail, setItem: fail, removeItem: fail };
    Object.assign(world.tab.environment, { storage });
    const { client } = await connected(world);
    await Promise.all([client.terminate(), pass(100)]);
    expect(client.state).toBe("disconnected");
  });

  test("ignores what somebody else wrote into its storage", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    const device = client.getSession()?.device ?? "";
    const key = [...world.tab.storage.entries.keys()].find((name) => name.includes("session/")) ?? "";
    for (const junk of ["", "{", "[]", "7", '{"gateway":"https://chat.example/"}', '{"session":{"instance":7}}']) {
      world.tab.storage.setItem(key, junk);
      expect(loadSession(world.tab.storage, "https://chat.example/", device)).toBeNull();
    }
  });
});

describe("Two tabs", () => {
  test("of one person are two devices, and nobody is pushed out", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const second = await connected(world, {}, world.browser.openTab());
    await pass(600_000);
    expect(world.server.live).toHaveLength(2);
    expect(first.diary.ends).toEqual([]);
    expect(second.diary.ends).toEqual([]);
  });

  test("made by duplicating one do not replace each other for ever", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const copy = world.tab.duplicate();
    const second = makeClient(world, {}, copy);
    void second.client.connect();
    await pass(600_000);
    expect(world.server.live).toHaveLength(2);
    expect(world.server.connections).toHaveLength(2);
    expect(second.client.getSession()?.device).not.toBe(first.client.getSession()?.device);
    expect(second.asked()).toBe(1);
    expect(first.diary.states).toEqual(["connecting", "connected"]);
    // The copied session is gone from the copy, and untouched in the original.
    expect([...copy.storage.entries.keys()].filter((key) => key.includes("session/"))).toHaveLength(1);
    expect([...world.tab.storage.entries.keys()].filter((key) => key.includes("session/"))).toHaveLength(1);
  });

  test("without Web Locks end with the older one replaced, once", async () => {
    const server = new FakeServer();
    const browser = new FakeBrowser(server);
    const tab = browser.openTab({ locks: false });
    const world = { server, browser, tab };
    const first = await connected(world);
    const copy = tab.duplicate();
    const second = await connected(world, {}, copy);
    await pass(600_000);
    expect(first.diary.ends).toMatchObject([{ kind: "replaced", code: 4508 }]);
    expect(second.client.state).toBe("connected");
    expect(server.connections).toHaveLength(2);
    // After a reload the older tab is a device of its own instead of pushing the newer out in turn.
    tab.reload();
    const third = await connected(world);
    await pass(600_000);
    expect(third.asked()).toBe(1);
    expect(server.live).toHaveLength(2);
    expect(second.diary.ends).toEqual([]);
  });

  test("given one session do not fight over it", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const session = first.client.getSession() as Session;
    const other = world.browser.openTab();
    const second = makeClient(world, {}, other);
    void second.client.connect(session);
    await pass(1_000);
    expect(second.client.state).toBe("connected");
    expect(second.asked()).toBe(1);
    expect(world.server.live).toHaveLength(2);
    const third = makeClient(world, { getTicket: undefined }, world.browser.openTab());
    const failed = rejection(third.client.connect(session));
    await pass(1_000);
    expect((await failed).code).toBe(909);
    expect(world.server.live).toHaveLength(2);
  });

  test("may pass a session on when the first one is gone", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const session = first.client.getSession() as Session;
    world.browser.locks.dropPage(world.tab.environment);
    world.server.last.finish(1001);
    const second = makeClient(world, { getTicket: undefined }, world.browser.openTab());
    const ready = second.client.connect(JSON.parse(JSON.stringify(session)) as Session);
    await pass(50);
    expect((await ready).resumed).toBe(true);
  });
});

describe("Signing out", () => {
  test("in one tab ends the others at once, also one that is offline", async () => {
    const world = makeWorld();
    const mine = (): string => world.server.mint({ session: "s1" });
    const first = await connected(world, { getTicket: mine });
    const second = await connected(world, { getTicket: mine }, world.browser.openTab());
    const third = await connected(world, { getTicket: mine }, world.browser.openTab());
    world.server.down = true;
    world.server.live[2]?.close(1006);
    await Promise.all([first.client.signOut(), pass(2_000)]);
    for (const other of [second, third]) {
      expect(other.client.state).toBe("disconnected");
      expect(other.diary.events.slice(-3)).toEqual(["state", "ended", "signedOut"]);
      expect(other.diary.ends[0]?.reason).toBe("Signed out in another tab: sign in again.");
      expect(other.client.getSession()).toBeNull();
    }
    expect(first.diary.ends).toEqual([]);
    expect(world.browser.channels.all.size).toBe(0);
  });

  test("leaves other people, other sign-ins and other applications alone", async () => {
    const world = makeWorld();
    const tabs = [
      { session: "s1" },
      { session: "s2" },
      { identity: bob },
      { applicationKey: "another" },
    ].map((fields) => ({ getTicket: () => world.server.mint(fields), applicationKey: fields.applicationKey }));
    const clients = [];
    for (const options of tabs) {
      clients.push(await connected(world, { ...options, applicationKey: undefined }, world.browser.openTab()));
    }
    await Promise.all([clients[0]?.client.signOut(), pass(1_000)]);
    expect(clients.map(({ client }) => client.state)).toEqual([
      "disconnected",
      "connected",
      "connected",
      "connected",
    ]);
  });

  test("goes by application and person when tickets carry no session", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const second = await connected(world, {}, world.browser.openTab());
    await Promise.all([first.client.signOut(), pass(1_000)]);
    expect(second.diary.ends).toMatchObject([{ kind: "signed_out" }]);
  });

  test("is not what terminate does: other tabs stay", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const second = await connected(world, {}, world.browser.openTab());
    await Promise.all([first.client.terminate(), pass(2_000)]);
    expect(second.client.state).toBe("connected");
  });

  test("at the server ends every tab of that sign-in", async () => {
    const world = makeWorld();
    const mine = (): string => world.server.mint({ session: "s1" });
    const first = await connected(world, { getTicket: mine });
    const second = await connected(world, { getTicket: mine }, world.browser.openTab());
    world.server.revoke("s1");
    await pass(600_000);
    for (const { diary } of [first, second]) expect(diary.ends).toMatchObject([{ kind: "signed_out", code: 4503 }]);
    expect(world.server.connections).toHaveLength(2);
  });

  test("ignores notices it does not understand", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    const stranger = world.browser.channels.open();
    const notices = [null, 7, "x", {}, { signedOut: null }, { signedOut: {} }, { signedOut: { identity: 7 } }];
    for (const notice of notices) stranger.postMessage(notice);
    stranger.postMessage({ signedOut: { applicationKey, identity: { type: "username" } } });
    await pass(100);
    expect(client.state).toBe("connected");
  });

  test("works without broadcast channels", async () => {
    const server = new FakeServer();
    const browser = new FakeBrowser(server);
    const world = { server, browser, tab: browser.openTab({ broadcast: false }) };
    const { client } = await connected(world);
    await Promise.all([client.signOut(), pass(1_000)]);
    expect(client.state).toBe("disconnected");
  });
});

describe("The device id", () => {
  test("can be given by the page and is then used as it is", async () => {
    const world = makeWorld();
    const { client } = await connected(world, { device: "kiosk-7" });
    expect(world.server.last.sent("connect")[0]).toMatchObject({ device: "kiosk-7" });
    expect(client.getSession()?.device).toBe("kiosk-7");
    expect(world.tab.environment.heldSlots.size).toBe(0);
  });

  test("is free again after terminate and found again by the next client", async () => {
    const world = makeWorld();
    const first = await connected(world);
    const device = first.client.getSession()?.device;
    await Promise.all([first.client.terminate(), pass(100)]);
    const second = await connected(world);
    expect(second.client.getSession()?.device).toBe(device);
    expect(world.tab.environment.heldSlots.size).toBe(1);
  });

  test("survives locks that are refused altogether", async () => {
    const world = makeWorld();
    Object.assign(world.tab.environment, {
      locks: { request: () => Promise.reject(new DOMException("sandboxed", "SecurityError")) },
    });
    const { client } = await connected(world);
    expect(client.state).toBe("connected");
  });
});

test("A client that ended can be connected again, for somebody else", async () => {
  const world = makeWorld();
  const client = new Client("https://chat.example", { environment: world.tab.environment });
  const diary = keepDiary(client);
  void client.connect(world.server.mint());
  await pass(50);
  world.server.last.close(4503);
  await pass(50);
  const ready = client.connect(world.server.mint({ identity: bob }));
  await pass(50);
  expect((await ready).user).toEqual(bob);
  expect(diary.states).toEqual(["connecting", "connected", "disconnected", "connecting", "connected"]);
});
