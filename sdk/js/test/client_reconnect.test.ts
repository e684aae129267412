import { describe, expect, test, vi } from "vitest";

import { closeCodes } from "../src/codes.js";
import { connected, makeClient, makeWorld, pass, useFakeTime, type World } from "./helpers.js";

useFakeTime();

/** The moments at which connections were opened, in milliseconds from now. */
function watchAttempts(world: World): number[] {
  const begin = Date.now();
  const moments: number[] = [];
  const open = world.tab.environment.openTransport;
  Object.assign(world.tab.environment, {
    openTransport: (...args: Parameters<typeof open>) => {
      moments.push(Date.now() - begin);
      return open(...args);
    },
  });
  return moments;
}

describe("A lost connection", () => {
  test("comes back within 300 ms as the same instance, without a ticket", async () => {
    const world = makeWorld();
    const { client, diary, asked } = await connected(world);
    world.server.crash();
    expect(client.state).toBe("connecting");
    await pass(320);
    expect(client.state).toBe("connected");
    expect(client.info?.resumed).toBe(true);
    expect(asked()).toBe(1);
    expect(world.server.last.sent("connect")[0]).toMatchObject({
      instance: "instance-1",
      secret: "secret-of-instance-1",
    });
    expect(world.server.last.sent("connect")[0]).not.toHaveProperty("userTicket");
    expect(diary.states).toEqual(["connecting", "connected", "connecting", "connected"]);
  });

  test("is tried for ever, with pauses that grow to 15 s", async () => {
    const world = makeWorld();
    world.browser.random = () => 0.999;
    const moments = watchAttempts(world);
    await connected(world);
    world.server.down = true;
    world.server.crash();
    await pass(3_600_000);
    const gaps = moments.slice(2).map((moment, index) => moment - (moments[index + 1] ?? 0));
    expect(gaps.slice(0, 5).map((gap) => Math.round(gap / 1000))).toEqual([1, 2, 4, 8, 15]);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(15_100);
    expect(moments.length).toBeGreaterThan(230);
    world.server.down = false;
    await pass(15_100);
    expect(world.server.live).toHaveLength(1);
  });

  test("spreads clients: without jitter nobody comes at once, with it all do", async () => {
    const delays: number[] = [];
    for (const random of [0, 0.25, 0.5, 0.75, 0.99]) {
      const world = makeWorld();
      world.browser.random = () => random;
      const { diary } = await connected(world);
      world.server.crash();
      const line = diary.lines.at(-1) ?? "";
      delays.push(Number(/in ([\d.]+)/.exec(line)?.[1]));
    }
    expect(delays).toEqual([0, 75, 0.1, 0.2, 0.3]);
  });

  test("starts its pauses afresh only after the connection stood for 30 s", async () => {
    const world = makeWorld();
    world.browser.random = () => 0.999;
    const { diary } = await connected(world);
    const delays: string[] = [];
    const loseAfter = async (ms: number): Promise<void> => {
      await pass(ms);
      world.server.crash();
      delays.push(/again in (.*)$/.exec(diary.lines.at(-1) ?? "")?.[1] ?? "");
      await pass(16_000);
    };
    // The time needed to come back counts too, so each round leaves less than 30 s up.
    await loseAfter(1_000);
    await loseAfter(1_000);
    await loseAfter(1_000);
    await loseAfter(31_000);
    expect(delays).toEqual(["0.3 s", "1.0 s", "2.0 s", "0.3 s"]);
  });

  test("is recognised by silence: the interval and 10 s without a sound", async () => {
    const world = makeWorld();
    const { client, diary } = await connected(world);
    await pass(60_000);
    world.server.frozen = true;
    await pass(24_000);
    expect(client.state).toBe("connected");
    await pass(11_000);
    expect(client.state).toBe("connecting");
    world.server.frozen = false;
    await pass(20_000);
    expect(client.state).toBe("connected");
    expect(diary.lines.join("\n")).toContain("The gateway has gone silent");
  });

  test("may be a handshake that never ends: 10 s are enough for it", async () => {
    const world = makeWorld();
    world.server.frozen = true;
    const { client } = makeClient(world);
    const ready = client.connect();
    await pass(9_900);
    expect(world.server.connections).toHaveLength(1);
    await pass(500);
    expect(world.server.connections).toHaveLength(2);
    world.server.frozen = false;
    await pass(10_500);
    await ready;
  });

  test("before the reply to connect reuses the ticket, which the gateway knows by its device", async () => {
    const world = makeWorld();
    const { client, asked } = makeClient(world);
    const ready = client.connect();
    await pass(8);
    expect(world.server.last.sent("connect")).toHaveLength(1);
    expect(client.state).toBe("connecting");
    world.server.crash();
    await pass(400);
    await ready;
    expect(asked()).toBe(1);
    const [first, second] = world.server.connections.map((connection) => connection.sent("connect")[0]);
    expect(second).toEqual(first);
  });
});

describe("Close codes", () => {
  const abnormal = [1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 3000, 4000, 4499];
  const listed = Object.entries(closeCodes).map(([code, row]) => ({ code: Number(code), ...row }));

  for (const code of [...abnormal, ...listed.filter((row) => row.reconnect).map((row) => row.code)]) {
    test(`${code} leads to another connection`, async () => {
      const world = makeWorld();
      const { client, diary } = await connected(world);
      await pass(31_000);
      world.server.last.close(code);
      await pass(400);
      expect(client.state).toBe("connected");
      expect(diary.ends).toEqual([]);
    });
  }

  for (const { code } of listed.filter((row) => !row.reconnect && row.name !== "bad_instance")) {
    test(`${code} ends the client with a reason a person can read`, async () => {
      const world = makeWorld();
      const { client, diary, asked } = await connected(world);
      await pass(31_000);
      world.server.last.close(code);
      await pass(600_000);
      expect(client.state).toBe("disconnected");
      expect(diary.ends).toHaveLength(1);
      expect(diary.ends[0]?.code).toBe(code);
      expect(diary.ends[0]?.reason).toBe(closeCodes[code]?.text);
      expect(world.server.connections).toHaveLength(1);
      expect(asked()).toBe(1);
      expect(vi.getTimerCount()).toBe(0);
    });
  }

  test("4999, which nobody has defined yet, ends the client too", async () => {
    const world = makeWorld();
    const { diary } = await connected(world);
    world.server.last.close(4999);
    await pass(60_000);
    expect(diary.ends).toMatchObject([{ kind: "refused", code: 4999 }]);
  });

  test("4503 says that the sign-in has ended and forgets the session", async () => {
    const world = makeWorld();
    const { client, diary } = await connected(world);
    world.server.last.close(4503);
    await pass(100);
    expect(diary.events.slice(-3)).toEqual(["state", "ended", "signedOut"]);
    expect(diary.ends[0]).toEqual({
      kind: "signed_out",
      code: 4503,
      reason: "The sign-in has ended; sign in again.",
    });
    expect(client.getSession()).toBeNull();
    expect([...world.tab.storage.entries.keys()].filter((key) => key.includes("session"))).toEqual([]);
  });

  test("4105 asks for a ticket before it connects again", async () => {
    const world = makeWorld();
    const { client, asked } = await connected(world);
    world.server.last.close(4105);
    await pass(400);
    expect(asked()).toBe(2);
    expect(client.state).toBe("connected");
    expect(world.server.last.sent("connect")[0]).toHaveProperty("userTicket");
  });
});

describe("A goodbye from the gateway", () => {
  test("is obeyed: nobody comes back before the time it names", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.server.last.push("bye", { code: 4101, reason: "shutdown", retry_after_ms: 20_000 });
    world.server.last.close(4101);
    await pass(10_000);
    world.tab.wake();
    await pass(9_900);
    expect(world.server.connections).toHaveLength(1);
    await pass(500);
    expect(client.state).toBe("connected");
  });

  test("counts even when the connection is cut before the close code arrives", async () => {
    const world = makeWorld();
    const { diary } = await connected(world);
    world.server.last.push("bye", { code: 4503, reason: "revoked" });
    world.server.last.close(1006);
    await pass(60_000);
    expect(diary.ends).toMatchObject([{ kind: "signed_out", code: 4503 }]);
  });

  test("cannot send a client away for ever", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.server.last.push("bye", { code: 4101, retry_after_ms: 1e15 });
    world.server.last.close(4101);
    await pass(300_400);
    expect(client.state).toBe("connected");
  });

  test("with nonsense in it is a plain close", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.server.last.push("bye", { code: "4503", retry_after_ms: -5 });
    world.server.last.close(4101);
    await pass(400);
    expect(client.state).toBe("connected");
  });
});

describe("A page that wakes up", () => {
  test("connects at once when it was waiting", async () => {
    const world = makeWorld();
    world.browser.random = () => 0.999;
    const { client } = await connected(world);
    world.server.down = true;
    world.server.crash();
    await pass(20_000);
    world.server.down = false;
    world.tab.wake();
    await pass(20);
    expect(client.state).toBe("connected");
  });

  test("asks the gateway for a sign of life and stays when it comes", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.tab.wake();
    world.tab.wake();
    await pass(3_100);
    expect(world.server.last.sent("ping")).toHaveLength(1);
    expect(client.state).toBe("connected");
    expect(world.server.connections).toHaveLength(1);
    world.tab.wake();
    expect(world.server.last.sent("ping")).toHaveLength(2);
  });

  test("does not believe a dead connection longer than 3 s", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.server.frozen = true;
    world.tab.wake();
    await pass(2_990);
    expect(client.state).toBe("connected");
    await pass(20);
    expect(client.state).toBe("connecting");
    world.server.frozen = false;
    await pass(400);
    expect(client.state).toBe("connected");
    expect(world.server.last.sent("connect")[0]).toMatchObject({ instance: "instance-1" });
  });

  test("after ten hours of sleep gets a ticket and is connected again", async () => {
    const world = makeWorld();
    const { client, asked } = await connected(world);
    world.server.frozen = true;
    vi.setSystemTime(Date.now() + 36_000_000);
    world.server.last.finish(1006);
    world.server.frozen = false;
    world.tab.wake();
    await pass(5_000);
    expect(client.state).toBe("connected");
    expect(asked()).toBe(2);
  });

  test("does not take a late timer for a dead connection: pings may be waiting behind it", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    // The browser freezes the page for ten minutes: no timer runs, messages are held back.
    vi.setSystemTime(Date.now() + 600_000);
    await pass(35_100);
    expect(client.state).toBe("connected");
    expect(world.server.connections).toHaveLength(1);
  });

  test("is watched only while the client runs", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    expect(world.tab.watchers).toBe(1);
    client.disconnect();
    expect(world.tab.watchers).toBe(0);
  });
});
