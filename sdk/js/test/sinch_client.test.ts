import { describe, expect, test, vi } from "vitest";

import { CountersignError } from "../src/errors.js";
import type { LogEntry } from "../src/log.js";
import { SinchClient, type SinchClientConfig } from "../src/sinch_client.js";
import type { Session } from "../src/types.js";
import type { FakeTab } from "./fake_browser.js";
import { alice, applicationKey, badMac, bob } from "./fake_server.js";
import { keepDiary, makeWorld, pass, rejection, useFakeTime, type World } from "./helpers.js";

useFakeTime();

function makeSinch(world: World, config: SinchClientConfig = {}, tab: FakeTab = world.tab) {
  const lines: string[] = [];
  const client = new SinchClient({
    applicationKey,
    capabilities: { messaging: true },
    startActiveConnection: true,
    onLogMessage: (entry) => lines.push(entry.message),
    url: "https://chat.example",
    environment: tab.environment,
    ...config,
  });
  return { client, lines };
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
}

describe("The page of the Rails tutorial", () => {
  test("starts with {userTicket} and shows its interface", async () => {
    const world = makeWorld();
    const { client, lines } = makeSinch(world);
    let shown = false;
    client.start({ userTicket: world.server.mint() }).then(() => {
      shown = true;
    });
    await pass(50);
    expect(shown).toBe(true);
    expect(client.state).toBe("connected");
    expect(lines).toEqual([
      "Starting client…",
      "Ticket for username alice, valid until 2026-03-01T13:00:00.000Z",
      "Connecting to wss://chat.example/v1/gateway",
      "Connected to gateway, node n1",
      "Instance instance-1 ready, valid until 2026-03-01T13:00:00.000Z",
      "Client started",
    ]);
    expect(world.server.last.sent("connect")[0]).toMatchObject({ caps: ["messaging"] });
  });

  test("terminates on sign-out, whether the client has started or not", async () => {
    const world = makeWorld();
    const { client, lines } = makeSinch(world);
    await client.terminate();
    client.start({ userTicket: world.server.mint() });
    await pass(50);
    await Promise.all([client.terminate(), pass(50)]);
    expect(lines.at(-1)).toBe("Client terminated");
    expect(world.server.instances.get("instance-1")?.ended).toBe("terminated");
  });

  test("sends its goodbye before the browser leaves the page", async () => {
    const world = makeWorld();
    const { client } = makeSinch(world);
    client.start({ userTicket: world.server.mint() });
    await pass(50);
    void client.terminate();
    // No time passes here: a link's default action follows the click handler at once.
    expect(world.server.last.sent("terminate")).toHaveLength(1);
  });
});

describe("The page of the C# tutorial", () => {
  test("starts with the endpoint's answer and a callback", async () => {
    const world = makeWorld();
    for (const answer of [{ userTicket: world.server.mint() }, JSON.stringify({ userTicket: world.server.mint() })]) {
      const { client } = makeSinch(world, {}, world.browser.openTab());
      const showUI = vi.fn();
      const handleError = vi.fn();
      client.start(answer as string, () => showUI()).fail(handleError);
      await pass(50);
      expect(showUI).toHaveBeenCalledOnce();
      expect(handleError).not.toHaveBeenCalled();
    }
  });

  test("gets an error with message and errorCode into .fail", async () => {
    const world = makeWorld();
    const { client } = makeSinch(world, { getTicket: () => world.server.mint({ mac: badMac }) });
    const showUI = vi.fn();
    const errors: CountersignError[] = [];
    client.start(world.server.mint({ mac: badMac }), showUI).fail((error) => {
      errors.push(error as CountersignError);
    });
    await pass(1_000);
    expect(showUI).not.toHaveBeenCalled();
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(CountersignError);
    expect(errors[0]?.errorCode).toBe(101);
    expect(errors[0]?.message).toMatch(/sign in again/i);
  });

  test("may give its failure callback to start itself", async () => {
    const world = makeWorld();
    const { client } = makeSinch(world);
    const failed = vi.fn();
    client.start("no ticket", null, failed).fail(() => undefined);
    await pass(10);
    expect(failed).toHaveBeenCalledOnce();
  });

  test("may have a callback that throws without the start looking failed", async () => {
    const complain = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const world = makeWorld();
    const { client } = makeSinch(world);
    const failed = vi.fn();
    client
      .start(world.server.mint(), () => {
        throw new Error("the page's own");
      })
      .fail(failed);
    await pass(50);
    expect(failed).not.toHaveBeenCalled();
    expect(complain).toHaveBeenCalledOnce();
    complain.mockRestore();
  });
});

describe("start", () => {
  test("refuses a ticket of another application before connecting", async () => {
    const world = makeWorld();
    const { client, lines } = makeSinch(world);
    const failed = rejection(client.start(world.server.mint({ applicationKey: "another" })));
    await pass(50);
    const error = await failed;
    expect(error.code).toBe(903);
    expect(error.message).toContain(applicationKey);
    expect(world.server.connections).toHaveLength(0);
    expect(lines.at(-1)).toContain("Client not started");
  });

  test("exchanges a user name and password for a ticket at /api/auth", async () => {
    const world = makeWorld();
    const requests: { url: string; init: RequestInit }[] = [];
    world.browser.fetch = async (url, init) => {
      requests.push({ url, init });
      return json(200, { userTicket: world.server.mint() });
    };
    const { client, lines } = makeSinch(world);
    client.start({ username: "alice", password: "correct horse" });
    await pass(50);
    expect(client.state).toBe("connected");
    expect(requests[0]?.url).toBe("https://chat.example/api/auth");
    expect(requests[0]?.init).toMatchObject({
      method: "POST",
      credentials: "omit",
      body: '{"username":"alice","password":"correct horse"}',
    });
    expect(lines.join("\n")).not.toContain("correct horse");
  });

  test("tells a wrong password, a busy server and a missing network apart", async () => {
    const world = makeWorld();
    const answers = [
      () => Promise.resolve(json(403, { code: 600 })),
      () => Promise.resolve(new Response("<html>Forbidden", { status: 403 })),
      () => Promise.resolve(json(503, { code: 617 }, { "retry-after": "2" })),
      () => Promise.reject(new TypeError("Failed to fetch")),
      () => Promise.resolve(new Response("not json")),
    ];
    const found = [];
    for (const answer of answers) {
      world.browser.fetch = answer;
      const { client } = makeSinch(world);
      const failed = rejection(client.start({ username: "alice", password: "wrong" }));
      await pass(50);
      found.push((await failed).code);
    }
    expect(found).toEqual([600, 600, 617, 907, 906]);
  });

  test("takes what getSession returned, in another page load", async () => {
    const world = makeWorld();
    const first = makeSinch(world);
    first.client.start(world.server.mint());
    await pass(50);
    const stored = JSON.stringify(first.client.getSession());
    world.tab.reload();
    world.server.last.finish(1001);
    const second = makeSinch(world);
    const started = second.client.start(JSON.parse(stored) as Session);
    await pass(50);
    expect((await started).resumed).toBe(true);
    expect(world.server.instances.size).toBe(1);
  });

  test("without anything takes up the tab's session, or asks the server for a ticket", async () => {
    const world = makeWorld();
    let asked = 0;
    world.browser.fetch = async (url, init) => {
      ++asked;
      expect(url).toBe("https://chat.example/v1/tickets");
      expect(init).toMatchObject({ method: "POST", credentials: "same-origin" });
      return json(200, { userTicket: world.server.mint(), expiresAt: "2026-03-01T13:00:00Z" });
    };
    const first = makeSinch(world);
    first.client.start();
    await pass(50);
    expect(first.client.state).toBe("connected");
    world.tab.reload();
    world.server.last.finish(1001);
    const second = makeSinch(world);
    second.client.start();
    await pass(50);
    expect(second.client.info?.resumed).toBe(true);
    expect(asked).toBe(1);
  });

  test("refuses a second start while the first is in force", async () => {
    const world = makeWorld();
    const { client } = makeSinch(world);
    client.start(world.server.mint());
    const early = rejection(client.start(world.server.mint()));
    await pass(50);
    expect((await early).code).toBe(105);
    const late = rejection(client.start(world.server.mint()));
    await pass(50);
    expect((await late).code).toBe(105);
    expect(client.state).toBe("connected");
    expect(world.server.connections).toHaveLength(1);
  });

  test("works again after terminate, after an end and after a failure", async () => {
    const world = makeWorld();
    const { client } = makeSinch(world, { getTicket: () => null });
    client.start(world.server.mint());
    await pass(50);
    await Promise.all([client.terminate(), pass(50)]);
    client.start(world.server.mint({ identity: bob }));
    await pass(50);
    expect(client.info?.user).toEqual(bob);
    world.server.last.close(4503);
    await pass(50);
    expect(client.getSession()).toBeNull();
    client.start("rubbish").fail(() => undefined);
    await pass(50);
    client.start(world.server.mint());
    await pass(50);
    expect(client.info?.user).toEqual(alice);
    const devices = world.server.connections.map((connection) => connection.sent("connect")[0]?.["device"]);
    expect(new Set(devices).size).toBe(1);
  });

  test("gives up after half a minute without a server, with a temporary error", async () => {
    const world = makeWorld();
    world.server.down = true;
    const { client } = makeSinch(world);
    const failed = rejection(client.start(world.server.mint()));
    await pass(31_000);
    expect(await failed).toMatchObject({ code: 907, temporary: true });
    const attempts = world.server.connections.length;
    await pass(600_000);
    expect(world.server.connections).toHaveLength(attempts);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("rejects when terminate comes first, at whatever moment", async () => {
    for (const moment of [0, 1, 5, 8]) {
      const world = makeWorld();
      const { client, lines } = makeSinch(world);
      const failed = rejection(client.start(world.server.mint()));
      await pass(moment);
      await Promise.all([client.terminate(), pass(2_000)]);
      expect((await failed).code).toBe(902);
      expect(world.server.live).toEqual([]);
      expect(lines.filter((line) => line === "Client terminated")).toHaveLength(1);
      expect(lines.join("\n")).not.toContain("not started");
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  test("rejects when terminate comes while the password is being checked", async () => {
    const world = makeWorld();
    let answer: (response: Response) => void = () => undefined;
    world.browser.fetch = () => new Promise((resolve) => (answer = resolve));
    const { client } = makeSinch(world);
    const failed = rejection(client.start({ username: "alice", password: "correct horse" }));
    await pass(10);
    void client.terminate();
    answer(json(200, { userTicket: world.server.mint() }));
    await pass(100);
    expect((await failed).code).toBe(902);
    expect(world.server.connections).toHaveLength(0);
  });
});

describe("A bare ticket", () => {
  test("is renewed at the page's own server", async () => {
    const world = makeWorld();
    world.browser.fetch = async () => json(200, { userTicket: world.server.mint() });
    const { client, lines } = makeSinch(world);
    client.start(world.server.mint());
    await pass(86_400_000);
    expect(client.state).toBe("connected");
    expect(world.server.connections).toHaveLength(1);
    expect(lines.some((line) => line.startsWith("Ticket refreshed"))).toBe(true);
  });

  test("ends with the sign-in: expired, sign in again", async () => {
    const world = makeWorld();
    world.browser.fetch = async () => json(401, { code: 601 });
    const { client } = makeSinch(world);
    const diary = keepDiary(client);
    client.start(world.server.mint());
    await pass(3_000_000);
    expect(diary.ends).toEqual([{ kind: "expired", code: 601, reason: "Expired, sign in again." }]);
    expect(diary.events.slice(-2)).toEqual(["ended", "expired"]);
    expect(client.state).toBe("disconnected");
  });

  test("ends with itself on a page of another origin, where no cookie would be sent", async () => {
    const world = makeWorld();
    const tab = world.browser.openTab({ pageOrigin: "https://shop.example" });
    let asked = 0;
    world.browser.fetch = async () => {
      ++asked;
      return json(500, {});
    };
    const { client } = makeSinch(world, {}, tab);
    const diary = keepDiary(client);
    client.start(world.server.mint());
    await pass(3_700_000);
    expect(asked).toBe(0);
    expect(diary.ends).toEqual([{ kind: "expired", code: 109, reason: "Expired, sign in again." }]);
  });

  test("waits for a server that is busy", async () => {
    const world = makeWorld();
    let busy = true;
    world.browser.fetch = async () =>
      busy ? json(503, { code: 113 }, { "retry-after": "5" }) : json(200, { userTicket: world.server.mint() });
    const { client } = makeSinch(world);
    client.start(world.server.mint());
    await pass(3_000_000);
    expect(client.state).toBe("connected");
    busy = false;
    await pass(3_600_000);
    expect(client.state).toBe("connected");
    expect(world.server.connections).toHaveLength(1);
  });
});

describe("Progress", () => {
  test("is told to .progress and to the third argument of then, in any place of a chain", async () => {
    const world = makeWorld();
    const { client } = makeSinch(world);
    const heard: string[][] = [[], [], []];
    const into = (index: number) => (entry: LogEntry) => void heard[index]?.push(entry.message);
    client
      .start(world.server.mint())
      .progress(into(0))
      .then(() => "ok", null, into(1))
      .fail(() => undefined)
      .progress(into(2));
    await pass(50);
    expect(heard[0]?.[0]).toBe("Starting client…");
    expect(heard[0]?.at(-1)).toBe("Client started");
    expect(heard[1]).toEqual(heard[0]);
    expect(heard[2]).toEqual(heard[0]);
    world.server.crash();
    await pass(1_000);
    expect(heard[0]?.at(-1)).toBe("Client started");
  });
});

describe("What does not exist yet", () => {
  test("is refused when it is called, not in the constructor", () => {
    const world = makeWorld();
    const { client } = makeSinch(world, { capabilities: { messaging: true, calling: true, video: true } });
    expect(() => client.getCallClient()).toThrow(CountersignError);
    expect(() => client.getCallClient()).toThrow(/not available/);
  });

  test("includes messages that the page did not ask for", () => {
    const { client } = makeSinch(makeWorld(), { capabilities: { calling: true } });
    for (const call of [() => client.getMessageClient(), () => client.messages]) {
      expect(call).toThrow(expect.objectContaining({ code: 108 }));
    }
  });

  test("includes secrets in a page: the client warns and ignores them", async () => {
    const world = makeWorld();
    const config = { applicationSecret: "ax8hTTQJF0OPXL32r1LHMA==" } as SinchClientConfig;
    const { client, lines } = makeSinch(world, config);
    client.start(world.server.mint());
    await pass(50);
    expect(lines.join("\n")).toContain("applicationSecret is ignored");
    expect(lines.join("\n")).not.toContain("ax8hTTQJF0OPXL32r1LHMA==");
  });
});

test("Signing out in one tab of classic pages ends the other", async () => {
  const world = makeWorld();
  const first = makeSinch(world);
  const second = makeSinch(world, {}, world.browser.openTab());
  const diary = keepDiary(second.client);
  first.client.start(world.server.mint());
  second.client.start(world.server.mint());
  await pass(50);
  await Promise.all([first.client.signOut(), pass(100)]);
  expect(diary.ends).toMatchObject([{ kind: "signed_out" }]);
});

test("A client without a config talks to the origin of its script or page", async () => {
  const world = makeWorld();
  const client = new SinchClient({ environment: world.tab.environment });
  client.start(world.server.mint());
  await pass(50);
  expect(world.server.last.url).toBe("wss://chat.example/v1/gateway");
});
