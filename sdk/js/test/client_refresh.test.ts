import { describe, expect, test, vi } from "vitest";

import { CountersignError } from "../src/errors.js";
import { bob, badMac } from "./fake_server.js";
import { connected, makeClient, makeWorld, pass, useFakeTime } from "./helpers.js";

useFakeTime();

describe("A ticket is renewed", () => {
  test("at 80 % of its life, on the same connection, again and again", async () => {
    const world = makeWorld();
    world.server.reminds = false;
    const { client, diary, asked } = await connected(world);
    await pass(2_879_000);
    expect(asked()).toBe(1);
    await pass(2_000);
    expect(asked()).toBe(2);
    await pass(86_400_000);
    expect(asked()).toBe(32);
    expect(world.server.connections).toHaveLength(1);
    expect(client.state).toBe("connected");
    expect(diary.states).toEqual(["connecting", "connected"]);
    expect(diary.events.filter((name) => name === "refreshed")).toHaveLength(31);
    expect(diary.lines.filter((line) => line.startsWith("Ticket refreshed, valid until"))).toHaveLength(31);
  });

  test("when the gateway reminds, once, although the own timer is due as well", async () => {
    const world = makeWorld();
    const { client, asked } = await connected(world);
    await pass(2_900_000);
    expect(asked()).toBe(2);
    expect(world.server.last.sent("refresh")).toHaveLength(1);
    expect(client.info?.expiresAt.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
    expect(client.getSession()?.expiresAt).toBe(client.info?.expiresAt.toISOString());
  });

  test("in time even when tickets live two seconds", async () => {
    const world = makeWorld();
    const { client, asked } = await connected(world, { getTicket: () => world.server.mint({ expiresIn: 2 }) });
    await pass(60_000);
    expect(client.state).toBe("connected");
    expect(world.server.connections).toHaveLength(1);
    expect(asked()).toBeLessThan(50);
  });

  test("without a loop when its life is longer than a browser's timers", async () => {
    const world = makeWorld();
    world.server.reminds = false;
    const { asked } = await connected(world, { getTicket: () => world.server.mint({ expiresIn: 1e9 }) });
    await pass(7 * 86_400_000);
    expect(asked()).toBe(1);
    expect(world.server.connections).toHaveLength(1);
  });

  test("not at all by the clock when the gateway names no end", async () => {
    const world = makeWorld();
    world.server.reminds = false;
    world.server.extraInConnect = { instance_expires_at: "soon" };
    const { client, asked } = await connected(world);
    await pass(3_000_000);
    expect(asked()).toBe(1);
    world.server.last.push("expiring", { in_ms: 60_000 });
    await pass(100);
    expect(asked()).toBe(2);
    expect(client.state).toBe("connected");
  });
});

describe("When no ticket can be had", () => {
  test("for the moment, the client asks again with pauses while the life lasts", async () => {
    const world = makeWorld();
    let broken = false;
    const { client, asked } = await connected(world, {
      getTicket: () => {
        if (broken) throw new TypeError("Failed to fetch");
        return world.server.mint();
      },
    });
    broken = true;
    await pass(2_880_000 + 300_000);
    expect(client.state).toBe("connected");
    expect(asked()).toBeGreaterThan(10);
    expect(asked()).toBeLessThan(70);
    broken = false;
    await pass(20_000);
    const count = asked();
    await pass(2_000_000);
    expect(asked()).toBe(count);
    expect(client.state).toBe("connected");
  });

  test("until the end, the client waits for a ticket and is back when there is one", async () => {
    const world = makeWorld();
    let broken = false;
    const { client, diary } = await connected(world, {
      getTicket: () => {
        if (broken) throw new CountersignError(113, undefined, { retryAfterMs: 10_000 });
        return world.server.mint();
      },
    });
    broken = true;
    await pass(3_600_000 + 60_000);
    expect(client.state).toBe("connecting");
    expect(diary.ends).toEqual([]);
    broken = false;
    await pass(20_000);
    expect(client.state).toBe("connected");
  });

  test("because nobody is signed in, the client ends as expired: sign in again", async () => {
    const world = makeWorld();
    let signedIn = true;
    const { client, diary } = await connected(world, { getTicket: () => (signedIn ? world.server.mint() : null) });
    signedIn = false;
    await pass(2_890_000);
    expect(client.state).toBe("disconnected");
    expect(diary.ends).toEqual([{ kind: "expired", code: 601, reason: "Expired, sign in again." }]);
    expect(client.getSession()).toBeNull();
    await pass(600_000);
    expect(world.server.connections).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("because there is no getTicket, the client says so early and ends with the ticket", async () => {
    const world = makeWorld();
    const { client, diary } = makeClient(world, { getTicket: undefined });
    const ready = client.connect(world.server.mint());
    await pass(50);
    await ready;
    await pass(2_890_000);
    expect(diary.lines.at(-1)).toBe("The ticket ends soon, and there is no way to a new one (option getTicket)");
    expect(client.state).toBe("connected");
    await pass(740_000);
    expect(client.state).toBe("disconnected");
    expect(diary.ends).toEqual([{ kind: "expired", code: 109, reason: "Expired, sign in again." }]);
  });
});

describe("A ticket source that misbehaves makes no loop", () => {
  test("when it hands out the same ticket again and again", async () => {
    const world = makeWorld();
    const cached = world.server.mint();
    const { client, diary, asked } = await connected(world, { getTicket: () => cached });
    await pass(3_500_000);
    expect(client.state).toBe("connected");
    expect(asked()).toBeLessThan(15);
    await pass(7_200_000);
    // The cached ticket has expired: one connection is refused, one question asked, and that is the end.
    expect(client.state).toBe("disconnected");
    expect(diary.ends).toMatchObject([{ kind: "expired", code: 109 }]);
    expect(asked()).toBeLessThan(30);
    expect(world.server.connections.length).toBeLessThan(4);
  });

  test("when its tickets are refused: one more question, then rest until the gateway reminds", async () => {
    const world = makeWorld();
    let mac: string | undefined;
    const { client, diary, asked } = await connected(world, {
      getTicket: () => world.server.mint(mac === undefined ? {} : { mac }),
    });
    mac = badMac;
    await pass(2_890_000);
    expect(asked()).toBe(3);
    expect(client.state).toBe("connected");
    await pass(600_000);
    expect(asked()).toBe(3);
    await pass(100_000);
    expect(asked()).toBeLessThanOrEqual(5);
    expect(diary.errors.length).toBeGreaterThan(0);
    mac = undefined;
    await pass(60_000);
    expect(client.state).toBe("connected");
  });

  test("when the gateway reminds a hundred times in a second", async () => {
    const world = makeWorld();
    const { asked } = await connected(world);
    for (let i = 0; i < 100; ++i) {
      world.server.last.push("expiring", { in_ms: 1 });
      await pass(10);
    }
    expect(asked()).toBeLessThanOrEqual(4);
  });

  test("when the instance ends in the moment it is made", async () => {
    const world = makeWorld();
    const { client, asked } = await connected(world);
    for (let i = 0; i < 60; ++i) {
      world.server.connections.filter((connection) => connection.open).forEach((connection) => connection.close(4105));
      await pass(1_000);
    }
    // Pauses grow as after any loss, and so one minute sees a handful of questions, not sixty.
    expect(asked()).toBeLessThan(20);
    await pass(16_000);
    expect(client.state).toBe("connected");
  });

  test("when it is slow: two questions are never on their way at once", async () => {
    const world = makeWorld();
    let open = 0;
    let most = 0;
    const { client } = makeClient(world, {
      getTicket: async () => {
        most = Math.max(most, ++open);
        await new Promise((done) => setTimeout(done, 4_000));
        --open;
        return world.server.mint();
      },
    });
    void client.connect();
    await pass(10_000);
    world.server.last.push("expiring", { in_ms: 60_000 });
    world.server.crash();
    await pass(500);
    world.server.last.push("expiring", { in_ms: 60_000 });
    world.server.last.close(4105);
    await pass(30_000);
    expect(most).toBe(1);
    expect(client.state).toBe("connected");
  });
});

describe("A refresh", () => {
  test("that is lost with the connection is done anew on the next one, with a fresh ticket", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    await pass(2_880_000 - 40);
    world.server.crash();
    await pass(400);
    expect(client.info?.resumed).toBe(true);
    await pass(800_000);
    expect(client.state).toBe("connected");
    const tickets = world.server.connections.flatMap((connection) =>
      connection.sent("refresh").map((body) => String(body["userTicket"])),
    );
    expect(new Set(tickets).size).toBe(tickets.length);
    expect(tickets.length).toBeGreaterThan(0);
  });

  test("without an answer is tried again", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.server.refuseNext("refresh", { code: 100, temporary: true });
    await pass(2_900_000);
    expect(world.server.last.sent("refresh")).toHaveLength(2);
    expect(client.info?.expiresAt.getTime()).toBeGreaterThan(Date.now() + 3_000_000);
  });

  test("never turns the client into somebody else", async () => {
    const world = makeWorld();
    let identity = { type: "username", endpoint: "alice" };
    const { client, diary } = await connected(world, { getTicket: () => world.server.mint({ identity }) });
    identity = bob;
    await pass(2_890_000);
    expect(client.state).toBe("disconnected");
    expect(world.server.last.sent("refresh")).toHaveLength(0);
    expect(diary.ends).toEqual([
      { kind: "signed_out", code: 905, reason: "Another person is signed in now: load the page again." },
    ]);
  });

  test("never uses a ticket of another application", async () => {
    const world = makeWorld();
    let applicationKey: string | undefined;
    const { client, diary } = await connected(world, {
      getTicket: () => world.server.mint(applicationKey === undefined ? {} : { applicationKey }),
    });
    applicationKey = "another";
    await pass(2_890_000);
    expect(world.server.last.sent("refresh")).toHaveLength(0);
    expect(new Set(diary.errors)).toEqual(new Set([903]));
    expect(client.state).toBe("connected");
  });
});
