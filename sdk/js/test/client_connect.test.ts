import { describe, expect, test, vi } from "vitest";

import { Client } from "../src/client.js";
import { CountersignError } from "../src/errors.js";
import { alice, applicationKey, badMac, bob, makeTicket } from "./fake_server.js";
import { connected, keepDiary, makeClient, makeWorld, pass, rejection, useFakeTime } from "./helpers.js";

useFakeTime();

describe("Connecting", () => {
  test("asks for a ticket, connects with it and tells each transition once", async () => {
    const world = makeWorld();
    const { client, diary, asked } = makeClient(world, { capabilities: ["messaging"] });
    expect(client.state).toBe("disconnected");
    const ready = client.connect();
    expect(client.state).toBe("connecting");
    await pass(50);
    const info = await ready;
    expect(client.state).toBe("connected");
    expect(diary.states).toEqual(["connecting", "connected"]);
    expect(asked()).toBe(1);
    expect(info).toMatchObject({ node: "n1", user: alice, resumed: false });
    expect(client.info?.expiresAt.toISOString()).toBe("2026-03-01T13:00:00.000Z");
    expect(client.info?.limits).toEqual({ max_frame_bytes: 65536 });
    const [hello] = world.server.last.sent("connect");
    expect(hello).toMatchObject({ caps: ["messaging"], client: { name: "countersign-js" } });
    expect(world.server.last.commands[0]).toMatchObject({ id: 1 });
  });

  test("goes to /v1/gateway of the server, with no credential in the address", async () => {
    const world = makeWorld();
    await connected(world);
    expect(world.server.last.url).toBe("wss://chat.example/v1/gateway");
  });

  test("uses a ticket that is at hand and asks for none", async () => {
    const world = makeWorld();
    const { client, asked } = makeClient(world);
    const ready = client.connect({ userTicket: world.server.mint() });
    await pass(50);
    await ready;
    expect(asked()).toBe(0);
  });

  test("gives the same promise to everybody who connects while it is connecting", async () => {
    const world = makeWorld();
    const { client } = makeClient(world);
    const first = client.connect();
    expect(client.connect()).toBe(first);
    expect((await rejection(client.connect(world.server.mint()))).code).toBe(105);
    await pass(50);
    expect(client.connect()).toBe(first);
    expect(world.server.connections).toHaveLength(1);
  });

  test("refuses a ticket of another application before anything is sent", async () => {
    const world = makeWorld();
    const { client, diary } = makeClient(world);
    const error = await rejection(client.connect(world.server.mint({ applicationKey: "another" })));
    expect(error.code).toBe(903);
    expect(error.message).toContain("another");
    expect(world.server.connections).toHaveLength(0);
    expect(diary.states).toEqual([]);
  });

  test("refuses what is no ticket before anything is sent", async () => {
    const world = makeWorld();
    const { client } = makeClient(world);
    for (const wrong of ["<html>", "a:b:c", "", {}, 7, { userTicket: 7 }, { instance: "i" }]) {
      expect((await rejection(client.connect(wrong as string))).code).toBe(904);
    }
    expect(world.server.connections).toHaveLength(0);
  });

  test("answers pings when the gateway asks for it", async () => {
    const world = makeWorld();
    await connected(world);
    await pass(25_000 * 3 + 100);
    expect(world.server.last.pongs).toBe(3);
    expect(world.server.connections).toHaveLength(1);
  });

  test("does not answer pings when the gateway does not want it", async () => {
    const world = makeWorld();
    world.server.extraInConnect = { ping: { interval: 25_000, pong: false } };
    await connected(world);
    await pass(60_000);
    expect(world.server.last.pongs).toBe(0);
    expect(world.server.connections).toHaveLength(1);
  });

  test("tells the server's time, however wrong the computer's clock is", async () => {
    const world = makeWorld();
    world.server.clockOffsetMs = 7 * 86_400_000;
    const { client, asked } = await connected(world);
    expect(client.info?.clockOffsetMs).toBe(7 * 86_400_000);
    await pass(2_800_000);
    expect(asked()).toBe(1);
    await pass(100_000);
    expect(asked()).toBe(2);
    expect(client.state).toBe("connected");
  });

  test("keeps trying while the server is away, and settles when it is back", async () => {
    const world = makeWorld();
    world.server.down = true;
    const { client, diary } = makeClient(world);
    let settled = false;
    const ready = client.connect().finally(() => (settled = true));
    await pass(120_000);
    expect(settled).toBe(false);
    expect(client.state).toBe("connecting");
    world.server.down = false;
    await pass(15_100);
    await ready;
    expect(diary.states).toEqual(["connecting", "connected"]);
  });
});

describe("A refused credential", () => {
  test("costs one question for a new ticket, then the client stops with a clear error", async () => {
    for (const code of [101, 109]) {
      const world = makeWorld();
      const { client, diary, asked } = makeClient(world);
      for (let i = 0; i < 5; ++i) world.server.refuseNext("connect", { code, close: 4500 });
      const ready = client.connect(world.server.mint());
      const failed = rejection(ready);
      await pass(600_000);
      expect((await failed).code).toBe(code);
      expect(asked()).toBe(1);
      expect(world.server.connections).toHaveLength(2);
      expect(client.state).toBe("disconnected");
      expect(diary.states).toEqual(["connecting", "disconnected"]);
      expect(diary.ends).toHaveLength(1);
      expect(diary.ends[0]?.reason).toMatch(/sign in again/i);
    }
  });

  test("is healed by the one new ticket", async () => {
    const world = makeWorld();
    const { client, asked } = makeClient(world);
    const ready = client.connect(world.server.mint({ mac: badMac }));
    await pass(100);
    await ready;
    expect(asked()).toBe(1);
    expect(client.state).toBe("connected");
  });

  test("ends the client at once when there is no way to a new ticket", async () => {
    const world = makeWorld();
    const { client, diary } = makeClient(world, { getTicket: undefined });
    const failed = rejection(client.connect(world.server.mint({ created: new Date(0) })));
    await pass(100);
    expect((await failed).code).toBe(109);
    expect(diary.events).toEqual(["state", "state", "ended", "expired"]);
    expect(diary.ends[0]?.reason).toBe("Expired, sign in again.");
  });

  test("is told by close code 4500 as well", async () => {
    const world = makeWorld();
    const { client, diary, asked } = await connected(world);
    await pass(40_000);
    world.server.last.close(4500);
    await pass(100);
    expect(client.state).toBe("connected");
    expect(asked()).toBe(2);
    expect(diary.states).toEqual(["connecting", "connected", "connecting", "connected"]);
    world.server.last.close(4500);
    await pass(60_000);
    expect(asked()).toBe(2);
    expect(diary.ends).toMatchObject([{ kind: "refused", code: 4500 }]);
  });

  test("may be asked about again once a connection has proved stable", async () => {
    const world = makeWorld();
    const { client, asked } = await connected(world);
    for (let round = 2; round <= 5; ++round) {
      await pass(31_000);
      world.server.last.close(4500);
      await pass(1_000);
      expect(asked()).toBe(round);
      expect(client.state).toBe("connected");
    }
  });

  test("stops the client when the answer to connect is a final refusal of another kind", async () => {
    const world = makeWorld();
    world.server.refuseNext("connect", { code: 106 });
    const { client, diary, asked } = makeClient(world);
    const failed = rejection(client.connect());
    await pass(60_000);
    expect((await failed).code).toBe(106);
    expect(diary.errors).toEqual([106]);
    expect(asked()).toBe(1);
  });

  test("is tried again when it was temporary, after the time the gateway asked for", async () => {
    const world = makeWorld();
    world.server.refuseNext("connect", { code: 113, temporary: true, retry_after_ms: 8_000 });
    const { client } = makeClient(world);
    const ready = client.connect();
    await pass(8_000);
    expect(world.server.connections).toHaveLength(1);
    await pass(400);
    await ready;
    expect(world.server.connections).toHaveLength(2);
  });
});

describe("A page without a signed-in person", () => {
  test("ends the client as expired, whichever way getTicket says so", async () => {
    const ways: (() => never | null | undefined | string)[] = [
      () => null,
      () => undefined,
      () => "",
      () => {
        throw new CountersignError(601);
      },
      () => {
        throw Object.assign(new Error("no"), { status: 401 });
      },
      () => {
        throw Object.assign(new Error("no"), { code: 601 });
      },
    ];
    for (const getTicket of ways) {
      const world = makeWorld();
      const { client, diary, asked } = makeClient(world, { getTicket });
      const failed = rejection(client.connect());
      await pass(60_000);
      expect((await failed).code).toBe(601);
      expect(diary.events).toEqual(["state", "state", "ended", "expired"]);
      expect(diary.ends[0]).toEqual({ kind: "expired", code: 601, reason: "Expired, sign in again." });
      expect(asked()).toBe(1);
      expect(client.getSession()).toBeNull();
    }
  });

  test("is tried again, with pauses, when getTicket just failed", async () => {
    const world = makeWorld();
    let failures = 3;
    const getTicket = (): string => {
      if (--failures >= 0) throw new TypeError("Failed to fetch");
      return world.server.mint();
    };
    const { client, asked } = makeClient(world, { getTicket });
    const ready = client.connect();
    await pass(10_000);
    await ready;
    expect(asked()).toBe(4);
  });

  test("ends the client when getTicket failed for good or gave no ticket", async () => {
    const world = makeWorld();
    const first = makeClient(world, { getTicket: () => "not a ticket" });
    const failed = rejection(first.client.connect());
    await pass(60_000);
    expect((await failed).code).toBe(904);
    expect(first.asked()).toBe(1);
    const second = makeClient(world, {
      getTicket: () => {
        throw Object.assign(new Error("bad request"), { status: 400 });
      },
    });
    const failedToo = rejection(second.client.connect());
    await pass(60_000);
    expect((await failedToo).code).toBe(107);
    expect(second.asked()).toBe(1);
  });

  test("gives getTicket half a minute and then asks again", async () => {
    const world = makeWorld();
    const { client, asked } = makeClient(world, { getTicket: () => new Promise<string>(() => undefined) });
    void client.connect();
    await pass(29_000);
    expect(asked()).toBe(1);
    await pass(3_000);
    expect(asked()).toBe(2);
  });
});

describe("Stopping", () => {
  test("by disconnect keeps the instance, and connect takes it up without a ticket", async () => {
    const world = makeWorld();
    const { client, diary, asked } = await connected(world);
    client.disconnect();
    expect(client.state).toBe("disconnected");
    expect(world.server.last.closedWith).toBe(1000);
    expect(client.getSession()?.instance).toBe("instance-1");
    const ready = client.connect();
    await pass(50);
    expect((await ready).resumed).toBe(true);
    expect(asked()).toBe(1);
    expect(diary.states).toEqual(["connecting", "connected", "disconnected", "connecting", "connected"]);
    expect(diary.ends).toEqual([]);
  });

  test("by terminate ends the instance at the gateway and forgets it", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    const done = client.terminate();
    expect(client.state).toBe("disconnected");
    await pass(50);
    await done;
    expect(world.server.last.sent("terminate")).toHaveLength(1);
    expect(world.server.instances.get("instance-1")?.ended).toBe("terminated");
    expect(client.getSession()).toBeNull();
    expect([...world.tab.storage.entries.keys()].filter((key) => key.includes("session"))).toEqual([]);
  });

  test("by terminate waits one second at most for a gateway that does not answer", async () => {
    const world = makeWorld();
    const { client } = await connected(world);
    world.server.frozen = true;
    let done = false;
    void client.terminate().then(() => (done = true));
    await pass(999);
    expect(done).toBe(false);
    await pass(2);
    expect(done).toBe(true);
    expect(world.server.last.closedWith).toBe(1000);
    await pass(600_000);
    expect(world.server.connections).toHaveLength(1);
  });

  test("may happen at any moment of connecting, and nothing comes after it", async () => {
    for (const moment of [0, 1, 3, 5, 6, 8, 10, 12]) {
      const world = makeWorld();
      const { client, diary } = makeClient(world);
      const failed = client.connect().then(
        () => "connected",
        (error: CountersignError) => error.code,
      );
      await pass(moment);
      const wasConnected = client.state === "connected";
      await Promise.all([client.terminate(), client.terminate(), pass(2_000)]);
      expect(await failed).toBe(wasConnected ? "connected" : 902);
      const states = diary.states.length;
      await pass(600_000);
      expect(client.state).toBe("disconnected");
      expect(diary.states).toHaveLength(states);
      expect(diary.ends).toEqual([]);
      expect(world.server.live).toEqual([]);
      expect(world.tab.watchers).toBe(0);
      expect(world.browser.channels.all.size).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  test("ignores a ticket that arrives after it, also in the next start", async () => {
    const world = makeWorld();
    let deliver: (ticket: string) => void = () => undefined;
    const tickets = [new Promise<string>((resolve) => (deliver = resolve)), world.server.mint({ expiresIn: 600 })];
    const { client } = makeClient(world, { getTicket: () => tickets.shift() ?? null });
    void client.connect();
    await pass(10);
    client.disconnect();
    const ready = client.connect();
    deliver(world.server.mint({ identity: bob }));
    await pass(50);
    expect((await ready).user).toEqual(alice);
    expect(world.server.connections).toHaveLength(1);
  });

  test("from a listener, and starting again from a listener, both work", async () => {
    const world = makeWorld();
    const { client, diary } = makeClient(world);
    let again = true;
    client.on("state", ({ state }) => {
      if (state === "connected" && again) client.disconnect();
      if (state === "disconnected" && again) {
        again = false;
        void client.connect();
      }
    });
    void client.connect();
    await pass(200);
    expect(diary.states).toEqual(["connecting", "connected", "disconnected", "connecting", "connected"]);
    expect(client.state).toBe("connected");
  });
});

describe("Listeners", () => {
  test("that throw disturb nobody", async () => {
    const complain = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const world = makeWorld();
    const fail = (): never => {
      throw new Error("the page's own mistake");
    };
    const client = new Client("https://chat.example", {
      getTicket: () => world.server.mint(),
      onLogMessage: fail,
      environment: world.tab.environment,
    });
    client.on("state", fail);
    client.on("log", fail);
    const diary = keepDiary(client);
    const ready = client.connect();
    await pass(50);
    await ready;
    expect(diary.states).toEqual(["connecting", "connected"]);
    expect(complain).toHaveBeenCalled();
    complain.mockRestore();
  });

  test("can be removed", async () => {
    const world = makeWorld();
    const { client } = makeClient(world);
    const heard: string[] = [];
    const listener = ({ state }: { state: string }): void => void heard.push(state);
    const stop = client.on("state", listener);
    stop();
    client.on("state", listener);
    client.off("state", listener);
    void client.connect();
    await pass(50);
    expect(heard).toEqual([]);
  });
});

describe("The commentary", () => {
  test("tells what happens and never holds a ticket, a secret or a session", async () => {
    const world = makeWorld();
    const entries: unknown[] = [];
    const ticket = world.server.mint();
    const client = new Client("https://chat.example", {
      applicationKey,
      getTicket: () => {
        throw new Error(`could not parse ${ticket}`);
      },
      onLogMessage: (entry) => entries.push(entry),
      environment: world.tab.environment,
    });
    const ready = client.connect(ticket);
    await pass(50);
    await ready;
    world.server.refuseNext("connect", { code: 113, temporary: true, message: `no: ${ticket} secret-of-instance-1` });
    world.server.crash();
    await pass(3_000_000);
    await Promise.all([client.terminate(), pass(2_000)]);
    const text = JSON.stringify(entries);
    expect(text).toContain("Ticket for username alice, valid until 2026-03-01T13:00:00.000Z");
    expect(text).toContain("Connected to gateway, node n1");
    expect(text).toContain("Instance instance-1 ready");
    expect(text).toMatch(/Connection lost, trying again in \d/);
    expect(text).toContain("Instance instance-1 resumed");
    expect(text).not.toContain(ticket);
    expect(text).not.toContain(ticket.split(":")[0]);
    expect(text).not.toContain("secret-of-instance");
  });

  test("comes with level, time and origin", async () => {
    const world = makeWorld();
    const { client } = makeClient(world);
    const entries: { level: string; time: string; origin: string }[] = [];
    client.on("log", (entry) => entries.push(entry));
    void client.connect(makeTicket());
    await pass(50);
    expect(entries[0]).toMatchObject({ level: "info", time: "2026-03-01T12:00:00.000Z", origin: "client" });
  });
});
