import { afterEach, describe, expect, test, vi } from "vitest";

import { claimDevice, lockWaitMs } from "../src/device.js";
import { Link, type LinkEvents } from "../src/link.js";
import { openWebSocket } from "../src/transport_websocket.js";
import type { TransportEvents } from "../src/transport.js";
import { FakeBrowser } from "./fake_browser.js";
import { FakeServer } from "./fake_server.js";
import { pass, useFakeTime } from "./helpers.js";

useFakeTime();
afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** What the SDK needs of a browser's WebSocket. */
class FakeWebSocket {
  static readonly OPEN = 1;
  static made: FakeWebSocket[] = [];
  readyState = 0;
  readonly sent: string[] = [];
  closedWith: number | undefined;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(
    readonly url: string,
    readonly protocols: string,
  ) {
    FakeWebSocket.made.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(code: number): void {
    this.closedWith = code;
  }
}

function recorder(): { events: TransportEvents; heard: string[] } {
  const heard: string[] = [];
  return {
    heard,
    events: {
      opened: () => heard.push("opened"),
      frame: (text) => heard.push(`frame ${text}`),
      closed: (code) => heard.push(`closed ${code}`),
    },
  };
}

describe("The WebSocket transport", () => {
  test("offers the subprotocol and passes on opening, frames and the end", () => {
    vi.stubGlobal("WebSocket", FakeWebSocket);
    const { events, heard } = recorder();
    const transport = openWebSocket("wss://h/v1/gateway", events);
    const socket = FakeWebSocket.made.at(-1) as FakeWebSocket;
    expect([socket.url, socket.protocols]).toEqual(["wss://h/v1/gateway", "countersign.v1.json"]);
    transport.send("too early");
    socket.readyState = 1;
    socket.onopen?.();
    transport.send("{}");
    socket.onmessage?.({ data: "{}" });
    socket.onmessage?.({ data: new ArrayBuffer(4) });
    transport.close(1000);
    const { onclose } = socket;
    onclose?.({ code: 4101 });
    expect(socket.sent).toEqual(["{}"]);
    expect(socket.closedWith).toBe(1000);
    expect(heard).toEqual(["opened", "frame {}", "frame \u0000", "closed 4101"]);
    expect(socket.onclose).toBeNull();
  });
});

describe("A link", () => {
  function makeLink(): { link: Link; events: TransportEvents; sent: string[]; heard: string[] } {
    const sent: string[] = [];
    const heard: string[] = [];
    let events: TransportEvents | undefined;
    const listener: LinkEvents = {
      opened: () => heard.push("opened"),
      traffic: () => heard.push("traffic"),
      push: (name) => heard.push(`push ${name}`),
      malformed: () => heard.push("malformed"),
      closed: (code) => heard.push(`closed ${code}`),
    };
    const link = new Link(
      (_url, given) => {
        events = given;
        return { send: (frame) => void sent.push(frame), close: (code) => void sent.push(`close ${code}`) };
      },
      "wss://h",
      listener,
    );
    return { link, events: events as TransportEvents, sent, heard };
  }

  test("answers each command once: with the reply, a refusal, a time-out or the loss", async () => {
    const { link, events } = makeLink();
    const outcomes: string[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      link.command(name, {}, name === "c" ? 100 : 60_000, (outcome) => {
        outcomes.push(`${name} ${outcome.ok ? "ok" : outcome.error.code}`);
      });
    }
    events.frame('{"id":2,"error":{"code":105}}\n{"id":1,"a":{}}\n{"id":1,"a":{}}');
    await pass(200);
    events.frame('{"id":3,"c":{}}');
    events.closed(1006);
    expect(outcomes).toEqual(["b 105", "a ok", "c 901", "d 900"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("reports nothing after it was closed", () => {
    const { link, events, sent, heard } = makeLink();
    const done = vi.fn();
    link.command("a", {}, 1000, done);
    link.close(1000);
    events.frame('{"id":1,"a":{}}');
    events.closed(4503);
    expect(heard).toEqual([]);
    expect(done).not.toHaveBeenCalled();
    expect(sent.at(-1)).toBe("close 1000");
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("Claiming a device", () => {
  test("waits for a page that is just leaving", async () => {
    const tab = new FakeBrowser(new FakeServer()).openTab();
    const first = await claimDevice(tab.environment);
    const leaving = tab.environment;
    const again = { ...tab.environment, heldSlots: new Set<number>() };
    const second = claimDevice(again);
    await pass(lockWaitMs - 50);
    tab.browser.locks.dropPage(leaving);
    await pass(10);
    expect((await second).id).toBe(first.id);
  });

  test("makes an id of 128 random bits, fit for the wire", async () => {
    const tab = new FakeBrowser(new FakeServer()).openTab({ locks: false });
    const { id, forget } = await claimDevice(tab.environment);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    forget();
    forget();
    expect((await claimDevice(tab.environment)).id).not.toBe(id);
  });

  test("does not believe an id in storage that is none", async () => {
    const tab = new FakeBrowser(new FakeServer()).openTab();
    tab.storage.setItem("countersign/device", "../../\u0000");
    expect((await claimDevice(tab.environment)).id).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("The browser's environment", () => {
  test("makes do with a browser that forbids everything", async () => {
    const forbid = {
      get() {
        throw new DOMException("denied", "SecurityError");
      },
    };
    vi.stubGlobal("sessionStorage", undefined);
    Object.defineProperty(globalThis, "sessionStorage", { configurable: true, ...forbid });
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("BroadcastChannel", undefined);
    vi.stubGlobal("fetch", undefined);
    const { browserEnvironment } = await import("../src/environment.js");
    expect(browserEnvironment()).toMatchObject({
      storage: null,
      locks: null,
      openBroadcast: null,
      fetch: null,
      pageOrigin: null,
    });
    expect(browserEnvironment()).toBe(browserEnvironment());
    Object.defineProperty(globalThis, "sessionStorage", { configurable: true, value: undefined });
  });

  test("wakes the client on online, pageshow and becoming visible, and parks it on the way into the cache", async () => {
    const page = new EventTarget();
    const sheet = Object.assign(new EventTarget(), { visibilityState: "hidden" });
    vi.stubGlobal("window", page);
    vi.stubGlobal("document", sheet);
    vi.stubGlobal("location", { origin: "https://chat.example" });
    const { browserEnvironment } = await import("../src/environment.js");
    const environment = browserEnvironment();
    expect(environment.pageOrigin).toBe("https://chat.example");
    const watcher = { wake: vi.fn(), park: vi.fn() };
    const leave = (persisted: boolean) => page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted }));
    const stop = environment.watchPage(watcher);
    sheet.dispatchEvent(new Event("visibilitychange"));
    expect(watcher.wake).toHaveBeenCalledTimes(0);
    sheet.visibilityState = "visible";
    sheet.dispatchEvent(new Event("visibilitychange"));
    page.dispatchEvent(new Event("online"));
    page.dispatchEvent(new Event("pageshow"));
    expect(watcher.wake).toHaveBeenCalledTimes(3);
    leave(false);
    expect(watcher.park).toHaveBeenCalledTimes(0);
    leave(true);
    expect(watcher.park).toHaveBeenCalledTimes(1);
    stop();
    leave(true);
    page.dispatchEvent(new Event("online"));
    page.dispatchEvent(new Event("pageshow"));
    sheet.dispatchEvent(new Event("visibilitychange"));
    expect([watcher.wake.mock.calls.length, watcher.park.mock.calls.length]).toEqual([3, 1]);
  });
});
