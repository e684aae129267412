import { describe, expect, test, vi } from "vitest";

import {
  IndexedDbStore,
  LocalStore,
  MemoryStore,
  SteadyStore,
  openDurableStore,
  openLimitMs,
  type DurableStore,
} from "../src/durable_store.js";
import { timeOfUuid7, uuid7 } from "../src/uuid.js";
import { FakeStorage } from "./fake_browser.js";

describe.each<[string, () => DurableStore]>([
  ["memory", () => new MemoryStore()],
  ["local storage", () => new LocalStore(new FakeStorage())],
])("A store in %s", (_, make) => {
  test("keeps, lists by prefix in order, and removes", async () => {
    const store = make();
    await store.put("outbox/b/2", { n: 2 });
    await store.put("outbox/b/1", { n: 1 });
    await store.put("outbox/bb/1", { n: 3 });
    await store.put("note/b", "x");
    expect(await store.get("outbox/b/2")).toEqual({ n: 2 });
    expect(await store.get("nothing")).toBeUndefined();
    expect(await store.list("outbox/b/")).toEqual([
      ["outbox/b/1", { n: 1 }],
      ["outbox/b/2", { n: 2 }],
    ]);
    await store.remove("outbox/b/1");
    await store.removeAll("outbox/bb/");
    expect((await store.list("")).map(([key]) => key)).toEqual(["note/b", "outbox/b/2"]);
  });
});

test("Local storage leaves alone what is not the SDK's, and reads around what is broken", async () => {
  const storage = new FakeStorage([
    ["of the page", "1"],
    ["countersign/outbox/x", "{broken"],
  ]);
  const store = new LocalStore(storage);
  expect(await store.list("")).toEqual([["outbox/x", undefined]]);
  await store.removeAll("");
  expect([...storage.entries.keys()]).toEqual(["of the page"]);
});

describe("Opening", () => {
  const refusing = {
    open: () => {
      throw new DOMException("forbidden", "SecurityError");
    },
  } as unknown as IDBFactory;

  test("takes the best there is", async () => {
    expect((await openDurableStore(null, new FakeStorage())).kind).toBe("localstorage");
    expect((await openDurableStore(refusing, new FakeStorage())).kind).toBe("localstorage");
    const forbidden = new FakeStorage();
    forbidden.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    expect((await openDurableStore(refusing, forbidden)).kind).toBe("memory");
    expect((await openDurableStore(null, null)).kind).toBe("memory");
  });

  test("does not wait for ever for a database that never answers", async () => {
    vi.useFakeTimers();
    const silent = { open: () => ({}) } as unknown as IDBFactory;
    const opened = openDurableStore(silent, null);
    const refused = expect(IndexedDbStore.open(silent)).rejects.toThrow("no answer");
    await vi.advanceTimersByTimeAsync(openLimitMs);
    expect((await opened).kind).toBe("memory");
    await refused;
    vi.useRealTimers();
  });
});

test("A store that fails is replaced by memory, once, and whoever waits goes on", async () => {
  const failing = new MemoryStore();
  failing.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
  const told = vi.fn();
  const store = new SteadyStore(failing, told);
  await Promise.all([store.put("a", 1), store.put("b", 2)]);
  expect(await store.get("a")).toBe(1);
  expect(await store.get("b")).toBe(2);
  expect(told).toHaveBeenCalledOnce();
  expect(store.kind).toBe("memory");
});

test("A store that fails takes nothing along that was read or written, and still loses what is removed", async () => {
  const failing = new MemoryStore();
  await failing.put("read/1", 1);
  await failing.put("gone/1", 1);
  const store = new SteadyStore(failing, () => undefined);
  await store.list("read/");
  await store.list("gone/");
  await store.put("written/1", 2);
  // Another tab.
  await failing.remove("gone/1");
  await store.list("gone/");
  const refuse = (): Promise<never> => Promise.reject(new DOMException("full", "QuotaExceededError"));
  Object.assign(failing, { put: refuse, get: refuse, list: refuse });
  await store.put("written/2", 3);
  expect(await store.list("")).toEqual([["read/1", 1], ["written/1", 2], ["written/2", 3]]);
  await store.remove("read/1");
  await store.removeAll("written/");
  expect(await store.list("")).toEqual([]);
  expect(await MemoryStore.prototype.list.call(failing, "")).toEqual([]);
});

test("Ids have the form of RFC 9562, version 7, and sort by time", () => {
  const random = Uint8Array.from({ length: 10 }, () => 255);
  const id = uuid7(0x017f22e279b0, random);
  expect(id).toBe("017f22e2-79b0-7fff-bfff-ffffffffffff");
  expect(uuid7(-5, new Uint8Array(10))).toBe("00000000-0000-7000-8000-000000000000");
  expect([timeOfUuid7(id), timeOfUuid7("no id")]).toEqual([0x017f22e279b0, 0]);
  expect(uuid7(1_000, random) < uuid7(1_001, new Uint8Array(10))).toBe(true);
});
