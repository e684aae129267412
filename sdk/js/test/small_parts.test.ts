import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { gatewayUrl, isPageOrigin, serverBase, setScriptUrl } from "../src/address.js";
import { backoffDelayMs, readableDelay } from "../src/backoff.js";
import { makeClock } from "../src/clock.js";
import { errorCodes } from "../src/codes.js";
import { clientCodes, codeOfStatus, CountersignError, describeCode, ticketFailure } from "../src/errors.js";
import { Timers, Turns } from "../src/hands.js";
import { Log, type LogEntry } from "../src/log.js";
import { makeTicket } from "./fake_server.js";

describe("Backoff", () => {
  test("spreads the first attempt over 0 to 300 ms", () => {
    expect(backoffDelayMs(0, 0)).toBe(0);
    expect(backoffDelayMs(0, 0.5)).toBe(150);
    expect(backoffDelayMs(0, 0.9999)).toBe(300);
  });

  test("doubles its ceiling up to 15 s and stays there for any number of attempts", () => {
    const ceilings = [1, 2, 3, 4, 5, 6, 100, 1e9].map((attempt) => backoffDelayMs(attempt, 1));
    expect(ceilings).toEqual([1000, 2000, 4000, 8000, 15_000, 15_000, 15_000, 15_000]);
    expect(backoffDelayMs(7, 0)).toBe(0);
  });

  test("waits at least as long as the server asks, at most five minutes, and spreads even that", () => {
    expect(backoffDelayMs(0, 0, 8000)).toBe(8000);
    expect(backoffDelayMs(0, 0.5, 8000)).toBe(8150);
    expect(backoffDelayMs(9, 0.9, 1000)).toBe(13_500);
    expect(backoffDelayMs(0, 0, Number.MAX_VALUE)).toBe(300_000);
    expect(backoffDelayMs(0, 0.5, Number.NaN)).toBe(150);
    expect(backoffDelayMs(0, 0.5, -1)).toBe(150);
  });

  test("is written so that a person can read it", () => {
    expect(readableDelay(1234)).toBe("1.2 s");
    expect(readableDelay(40)).toBe("40 ms");
  });
});

describe("Turns", () => {
  test("let what arises meanwhile wait, in order", () => {
    const taken: string[] = [];
    const turns: Turns<string> = new Turns((input) => {
      taken.push(`begin ${input}`);
      if (input === "a") ["b", "c"].forEach((next) => turns.push(next));
      taken.push(`end ${input}`);
    });
    turns.push("a");
    expect(taken).toEqual(["begin a", "end a", "begin b", "end b", "begin c", "end c"]);
  });

  test("go on after one that throws", () => {
    const taken: string[] = [];
    const turns: Turns<string> = new Turns((input) => {
      if (input === "bad") throw new Error("no");
      taken.push(input);
    });
    expect(() => turns.push("bad")).toThrow("no");
    turns.push("good");
    expect(taken).toEqual(["good"]);
  });
});

describe("Timers", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("are set anew when they are started again, and may be stopped", () => {
    const due: string[] = [];
    const timers = new Timers<string>((name) => due.push(name));
    timers.start("again", 10);
    timers.start("stopped", 10);
    vi.advanceTimersByTime(9);
    timers.start("again", 10);
    timers.stop("stopped");
    vi.advanceTimersByTime(9);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(due).toEqual(["again"]);
  });

  test("end all at once", () => {
    const due: string[] = [];
    const timers = new Timers<string>((name) => due.push(name));
    ["a", "b"].forEach((name) => timers.start(name, 1));
    timers.stopAll();
    vi.advanceTimersByTime(10);
    expect(due).toEqual([]);
  });
});

describe("The clock", () => {
  test("never runs back, never misses sleep and forgives a clock set back", () => {
    let wall = 1000;
    let steady = 5;
    const now = makeClock({ wall: () => wall, steady: () => steady });
    expect(now()).toBe(0);
    wall += 10;
    steady += 10;
    expect(now()).toBe(10);
    wall += 3600; // Slept: the steady clock stood still.
    expect(now()).toBe(3610);
    wall -= 1_000_000; // Somebody set the clock back.
    steady += 7;
    expect(now()).toBe(3617);
    expect(now()).toBe(3617);
  });
});

describe("The server's address", () => {
  const page = "https://shop.example";
  beforeEach(() => setScriptUrl(null));
  afterEach(() => setScriptUrl(null));

  test("is the option, else the origin of the script, else that of the page", () => {
    expect(serverBase(undefined, page)).toBe("https://shop.example/");
    setScriptUrl("https://chat.example:8443/sdk/countersign.js?v=1");
    expect(serverBase(undefined, page)).toBe("https://chat.example:8443/");
    expect(serverBase("https://other.example", page)).toBe("https://other.example/");
  });

  test("may have a prefix, and may be written with a WebSocket scheme", () => {
    expect(serverBase("https://h.example/chat", page)).toBe("https://h.example/chat/");
    expect(serverBase("https://h.example/chat/?q#f", page)).toBe("https://h.example/chat/");
    expect(serverBase("ws://localhost:8080", null)).toBe("http://localhost:8080/");
    expect(serverBase(new URL("wss://h.example"), null)).toBe("https://h.example/");
    expect(serverBase("/chat", page)).toBe("https://shop.example/chat/");
  });

  test("becomes the gateway's WebSocket address", () => {
    expect(gatewayUrl("https://h.example/")).toBe("wss://h.example/v1/gateway");
    expect(gatewayUrl("http://localhost:8080/chat/")).toBe("ws://localhost:8080/chat/v1/gateway");
  });

  test("must be usable and hold no credentials", () => {
    for (const wrong of ["ftp://h", "javascript:alert(1)", "https://", "https://user:pass@h", "http://[", "file:///x"]) {
      expect(() => serverBase(wrong, null)).toThrow(CountersignError);
    }
    expect(() => serverBase(undefined, null)).toThrow(/option url/);
    setScriptUrl("file:///home/me/countersign.js");
    expect(() => serverBase(undefined, null)).toThrow(/option url/);
  });

  test("is compared with the page's origin exactly", () => {
    expect(isPageOrigin("https://shop.example/", page)).toBe(true);
    expect(isPageOrigin("https://shop.example/prefix/", page)).toBe(true);
    expect(isPageOrigin("http://shop.example/", page)).toBe(false);
    expect(isPageOrigin("https://shop.example:8443/", page)).toBe(false);
    expect(isPageOrigin("https://shop.example/", null)).toBe(false);
  });
});

describe("Errors", () => {
  test("carry code, message and whether to try again", () => {
    const error = new CountersignError(113);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "CountersignError", code: 113, errorCode: 113, temporary: true });
    expect(error.message).toBe(errorCodes[113]?.text);
    expect(new CountersignError(4503).message).toContain("sign in again");
    expect(new CountersignError(12345).message).toBe("Error 12345.");
  });

  test("of the SDK itself have numbers that no server uses", () => {
    for (const code of Object.keys(clientCodes).map(Number)) {
      expect(errorCodes[code]).toBeUndefined();
      expect(code).toBeGreaterThanOrEqual(900);
      expect(describeCode(code)?.text).toMatch(/\.$/);
    }
  });

  test("thrown by getTicket are understood by status, code or not at all", () => {
    const read = (thrown: unknown) => {
      const { code, temporary } = ticketFailure(thrown);
      return [code, temporary];
    };
    expect(read({ status: 401 })).toEqual([601, false]);
    expect(read({ status: 403 })).toEqual([103, false]);
    expect(read({ status: 404 })).toEqual([107, false]);
    expect(read({ status: 429 })).toEqual([111, true]);
    expect(read({ status: 500 })).toEqual([100, true]);
    expect(read({ status: 503 })).toEqual([113, true]);
    expect(read({ code: 601 })).toEqual([601, false]);
    expect(read({ code: 113 })).toEqual([113, true]);
    expect(read(new TypeError("Failed to fetch"))).toEqual([907, true]);
    expect(read(Object.assign(new Error("no"), { temporary: false }))).toEqual([907, false]);
    expect(read("text")).toEqual([907, true]);
    expect(read(undefined)).toEqual([907, true]);
    expect(read(Object.assign(new Error("DOM"), { code: 20 }))).toEqual([907, true]);
  });

  test("for HTTP statuses exist for every class of them", () => {
    expect([400, 401, 408, 418, 502, 599].map(codeOfStatus)).toEqual([107, 601, 901, 107, 113, 100]);
  });
});

describe("The log", () => {
  function makeLog(): { log: Log; entries: LogEntry[] } {
    const entries: LogEntry[] = [];
    return { log: new Log((entry) => entries.push(entry), "test"), entries };
  }

  test("cuts out what it was told to hide, everywhere in a line", () => {
    const { log, entries } = makeLog();
    log.hide("s3cret-value");
    log.write("info", "a s3cret-value b s3cret-value");
    expect(entries[0]?.message).toBe("a [hidden] b [hidden]");
  });

  test("cuts out anything that looks like a ticket", () => {
    const { log, entries } = makeLog();
    const ticket = makeTicket();
    log.write("error", `The server said: ${ticket}!`);
    expect(entries[0]?.message).toBe("The server said: [hidden]!");
  });

  test("lets no text forge a line or fill a screen", () => {
    const { log, entries } = makeLog();
    log.write("info", `one\nINFO two\u2028three\u0000${"x".repeat(10_000)}`);
    expect(entries[0]?.message).toMatch(/^one INFO two three x+…$/);
    expect(entries[0]?.message).toHaveLength(500);
  });

  test("remembers the latest secrets, not all there ever were", () => {
    const { log, entries } = makeLog();
    for (let i = 0; i < 100; ++i) log.hide(`secret-number-${i}-`);
    log.write("info", "secret-number-99- secret-number-3-");
    expect(entries[0]?.message).toBe("[hidden] secret-number-3-");
  });

  test("does not hide texts so short that hiding them would garble every line", () => {
    const { log, entries } = makeLog();
    log.hide("");
    log.hide("a");
    log.write("info", "alpha");
    expect(entries[0]?.message).toBe("alpha");
  });
});
