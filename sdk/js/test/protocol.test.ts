import { describe, expect, test } from "vitest";

import { decodeConnect, decodeFrame, decodeRefresh, maxFrameLength } from "../src/protocol.js";
import { connected, makeClient, makeWorld, pass, rejection, useFakeTime } from "./helpers.js";

useFakeTime();

describe("A frame", () => {
  test("may hold several messages, one per line", () => {
    const kinds = decodeFrame('{"id":1,"ping":{}}\n{}\n\n{"push":{"bye":{"code":4101}}}\n').map(({ kind }) => kind);
    expect(kinds).toEqual(["reply", "ping", "push"]);
  });

  test("carries refusals with code, text and pause", () => {
    const [message] = decodeFrame(
      '{"id":3,"error":{"code":113,"message":"busy","temporary":true,"retry_after_ms":70,"x":1}}',
    );
    expect(message).toMatchObject({ kind: "failure", id: 3 });
    expect(message?.kind === "failure" && message.error).toMatchObject({
      code: 113,
      message: "busy",
      temporary: true,
      retryAfterMs: 70,
    });
  });

  test("that is not of the protocol is malformed, whatever it is", () => {
    const garbage = [
      "garbage",
      "{",
      "[]",
      "null",
      "7",
      '"text"',
      '{"id":"1","ping":{}}',
      '{"id":null}',
      '{"push":7}',
      '{"push":{}}',
      '{"push":[]}',
      '{"unheard":{}}',
      '{"__proto__":{"polluted":true}}',
      "\u0000",
    ];
    for (const text of garbage) expect([text, decodeFrame(text)]).toEqual([text, [{ kind: "malformed" }]]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(decodeFrame("x".repeat(maxFrameLength + 1))).toEqual([{ kind: "malformed" }]);
  });

  test("of random bytes never throws", () => {
    let seed = 12345;
    const random = (): number => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
    const pieces = ['{"id":', "1", '"push":', "{", "}", "[", '"error":', '"', "\n", "null", ",", "\\u0000", "1e999"];
    for (let round = 0; round < 5_000; ++round) {
      const length = Math.floor(random() * 12);
      const text = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join("");
      for (const message of decodeFrame(text)) {
        if (message.kind === "reply") {
          decodeConnect(message.body);
          decodeRefresh(message.body);
        }
      }
    }
  });
});

describe("The reply to connect", () => {
  test("survives members of the wrong type", () => {
    const reply = decodeConnect({
      connect: {
        connection: 7,
        node: null,
        user: "alice",
        device: [],
        server_time: "noon",
        instance_expires_at: 7,
        ping: { interval: "fast", pong: "yes" },
        limits: { a: 1, b: "2", c: null },
        instance: {},
        secret: 7,
      },
    });
    expect(reply).toEqual({
      connection: "",
      node: "",
      user: null,
      device: null,
      serverTime: null,
      instanceExpiresAt: null,
      pingIntervalMs: 25_000,
      pong: false,
      limits: { a: 1 },
      instance: null,
      secret: null,
    });
    expect(decodeConnect({})).toBeNull();
    expect(decodeConnect({ connect: 7 })).toBeNull();
  });

  test("cannot set an interval that would make the client restless", () => {
    const intervalOf = (interval: unknown) => decodeConnect({ connect: { ping: { interval } } })?.pingIntervalMs;
    for (const wrong of [0, -1, 5, 1e12, Number.NaN, null]) expect(intervalOf(wrong)).toBe(25_000);
    expect(intervalOf(1000)).toBe(1000);
  });
});

describe("A hostile gateway", () => {
  test("cannot disturb the client with garbage, unknown pushes or unknown fields", async () => {
    const world = makeWorld();
    world.server.extraInConnect = { unheard_of: { deep: [1, 2, 3] }, inbox: null };
    const { client, diary } = await connected(world);
    const link = world.server.last;
    const lines = diary.lines.length;
    for (let i = 0; i < 1_000; ++i) link.raw("garbage");
    link.raw("\n\n\n");
    link.raw('{"push":{"unheard":{"code":4503}}}');
    link.raw('{"push":{"toString":{}}}');
    link.raw('{"push":{"expiring":{"in_ms":"soon"}}}');
    link.raw('{"push":{"expiring":null}}');
    link.raw('{"id":999,"connect":{}}');
    link.raw('{"id":1,"connect":{"instance":"x","secret":"y"}}');
    link.raw('{"id":1,"error":{"code":4503}}');
    link.raw('{"id":-1,"error":{}}');
    await pass(1_000);
    expect(client.state).toBe("connected");
    expect(client.getSession()?.instance).toBe("instance-1");
    expect(diary.lines.length - lines).toBe(3);
    expect(diary.errors).toEqual([]);
  });

  test("that answers connect without what a client needs is refused", async () => {
    for (const extra of [{ instance: null }, { secret: "" }, { user: { type: "username", endpoint: "mallory" } }]) {
      const world = makeWorld();
      world.server.extraInConnect = extra;
      const { client } = makeClient(world);
      const failed = rejection(client.connect());
      await pass(60_000);
      expect((await failed).code).toBe(906);
      expect(world.server.connections).toHaveLength(1);
      expect(client.getSession()).toBeNull();
    }
  });

  test("that pushes before the reply changes nothing", async () => {
    const world = makeWorld();
    const { client } = makeClient(world);
    const ready = client.connect();
    await pass(8);
    world.server.last.push("expiring", { in_ms: 1 });
    world.server.last.raw("{}");
    await pass(50);
    await ready;
    expect(client.state).toBe("connected");
  });

  test("cannot speak through a connection the client has left", async () => {
    const world = makeWorld();
    const { client, diary } = await connected(world);
    const old = world.server.last;
    world.server.frozen = true;
    world.tab.wake();
    await pass(3_500);
    world.server.frozen = false;
    await pass(15_000);
    expect(client.state).toBe("connected");
    old.events.frame('{"push":{"bye":{"code":4503}}}');
    old.events.closed(4503);
    await pass(1_000);
    expect(client.state).toBe("connected");
    expect(diary.ends).toEqual([]);
  });
});

describe("A command", () => {
  test("has a number that grows by one with each", async () => {
    const world = makeWorld();
    await connected(world);
    for (let i = 0; i < 3; ++i) {
      world.tab.wake();
      await pass(100);
    }
    expect(world.server.last.commands.map((command) => command["id"])).toEqual([1, 2, 3, 4]);
  });
});
