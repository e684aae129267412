/** What most tests begin with: fake time, a server, a browser, a tab, a client that writes down its life. */
import { afterEach, beforeEach, vi } from "vitest";

import { Client } from "../src/client.js";
import type { ClientOptions } from "../src/options.js";
import type { ClientEvents, End, Identity, StateChange } from "../src/types.js";
import { FakeBrowser, type FakeTab } from "./fake_browser.js";
import { applicationKey, FakeServer, type Json } from "./fake_server.js";

export const start = new Date("2026-03-01T12:00:00.000Z");

/** Puts every test of the file on fake time. */
export function useFakeTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ now: start });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

/** Lets `ms` pass, with everything that becomes due on the way. */
export function pass(ms: number): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(ms);
}

export interface World {
  readonly server: FakeServer;
  readonly browser: FakeBrowser;
  readonly tab: FakeTab;
}

export function makeWorld(): World {
  const server = new FakeServer();
  const browser = new FakeBrowser(server);
  return { server, browser, tab: browser.openTab() };
}

/** What a client told the page. */
export interface Diary {
  readonly states: StateChange["state"][];
  readonly ends: End[];
  readonly events: (keyof ClientEvents)[];
  readonly errors: number[];
  readonly lines: string[];
}

export function keepDiary(client: Pick<Client, "on">): Diary {
  const diary: Diary = { states: [], ends: [], events: [], errors: [], lines: [] };
  client.on("state", ({ state }) => diary.states.push(state));
  client.on("ended", (end) => diary.ends.push(end));
  client.on("error", ({ code }) => diary.errors.push(code));
  client.on("log", ({ message }) => diary.lines.push(message));
  const names = ["state", "ended", "expired", "signedOut", "error", "refreshed"] as const;
  for (const name of names) client.on(name, () => diary.events.push(name));
  return diary;
}

export interface Signed {
  readonly client: Client;
  readonly diary: Diary;
  /** How often the page was asked for a ticket. */
  readonly asked: () => number;
}

/** A client whose page hands out fresh tickets of Alice unless `options` say otherwise. */
export function makeClient(world: World, options: ClientOptions = {}, tab: FakeTab = world.tab): Signed {
  let asked = 0;
  const { getTicket = () => world.server.mint() } = options;
  const client = new Client("https://chat.example", {
    applicationKey,
    ...options,
    getTicket: "getTicket" in options && options.getTicket === undefined ? undefined : () => (++asked, getTicket()),
    environment: tab.environment,
  });
  return { client, diary: keepDiary(client), asked: () => asked };
}

/** A client that is connected. */
export async function connected(world: World, options: ClientOptions = {}, tab?: FakeTab): Promise<Signed> {
  const signed = makeClient(world, options, tab);
  const ready = signed.client.connect();
  await pass(50);
  await ready;
  return signed;
}

/** The code with which a promise rejected; fails when it did not. */
export async function rejection(promise: PromiseLike<unknown>): Promise<{ code: number; message: string }> {
  try {
    await promise;
  } catch (thrown) {
    return thrown as { code: number; message: string };
  }
  throw new Error("the promise did not reject");
}

/** A generator of numbers in [0, 1) that is the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Every `send` that any connection of the server has got, in order. */
export function sends(world: World): Json[] {
  return world.server.connections.flatMap((connection) => connection.sent("send"));
}

export interface Chatting extends Signed {
  /** Texts of others, as listeners got them; a repeat is marked. */
  readonly heard: string[];
  readonly resets: string[];
}

/** A connected client with messages, for whom `identity` is signed in. */
export async function chatting(
  world: World,
  identity: Identity,
  tab: FakeTab = world.browser.openTab(),
  listen = true,
): Promise<Chatting> {
  const signed = makeClient(world, { capabilities: ["messaging"], getTicket: () => world.server.mint({ identity }) }, tab);
  const heard: string[] = [];
  const resets: string[] = [];
  const { messages } = signed.client;
  if (listen) {
    messages.on("message", ({ text, redelivered }) => heard.push(redelivered ? `${text} (again)` : text));
  }
  messages.on("reset", ({ reason }) => resets.push(reason));
  const ready = signed.client.connect();
  await pass(60);
  await ready;
  return { ...signed, heard, resets };
}
