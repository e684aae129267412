/**
 * A browser in the test's own process: tabs with session storage, Web Locks and broadcast channels that
 * the tabs of one browser share, reloads, duplicated tabs, and a page that wakes up.
 */
import type { Broadcast, Environment, KeyValueStore, LockKeeper, PageWatcher } from "../src/environment.js";
import { MemoryStore, type DurableStore } from "../src/durable_store.js";
import type { TransportFactory } from "../src/transport.js";
import type { FakeServer } from "./fake_server.js";

export class FakeStorage implements KeyValueStore {
  readonly entries: Map<string, string>;
  constructor(entries: Iterable<readonly [string, string]> = []) {
    this.entries = new Map(entries);
  }
  get length(): number {
    return this.entries.size;
  }
  key(index: number): string | null {
    return [...this.entries.keys()][index] ?? null;
  }
  getItem(key: string): string | null {
    return this.entries.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.entries.set(key, value);
  }
  removeItem(key: string): void {
    this.entries.delete(key);
  }
}

/** Exclusive locks with a queue, as `navigator.locks` has them. */
export class FakeLocks {
  readonly #holders = new Map<string, object>();
  readonly #queues = new Map<string, (() => void)[]>();

  keeperOf(page: object): LockKeeper {
    return {
      request: async (name, { signal }, held) => {
        while (this.#holders.has(name)) {
          await new Promise<void>((next, abort) => {
            const queue = this.#queues.get(name) ?? [];
            this.#queues.set(name, [...queue, next]);
            signal.addEventListener("abort", () => abort(new DOMException("aborted", "AbortError")));
          });
        }
        this.#holders.set(name, page);
        await held();
        if (this.#holders.get(name) === page) this.#free(name);
      },
    };
  }

  /** A page is gone, and its locks with it. */
  dropPage(page: object): void {
    for (const [name, holder] of [...this.#holders]) {
      if (holder === page) this.#free(name);
    }
  }

  #free(name: string): void {
    this.#holders.delete(name);
    const waiting = this.#queues.get(name) ?? [];
    this.#queues.delete(name);
    waiting.forEach((next) => next());
  }
}

class Channels {
  readonly all = new Set<Broadcast>();

  open(): Broadcast {
    const { all } = this;
    const channel: Broadcast = {
      onmessage: null,
      postMessage(message) {
        const data: unknown = structuredClone(message);
        for (const other of [...all]) if (other !== channel) setTimeout(() => other.onmessage?.({ data }), 1);
      },
      close() {
        all.delete(channel);
      },
    };
    all.add(channel);
    return channel;
  }
}

/** What all tabs of a browser share on disk. Each operation takes a millisecond, and can be made to fail. */
export class FakeDisk implements DurableStore {
  readonly #memory = new MemoryStore();
  kind: DurableStore["kind"] = "indexeddb";
  failing = false;
  /** Nothing more is taken, everything else is done. */
  full = false;
  /** Keys in the order in which they were written. */
  readonly writes: string[] = [];

  /** The disk as one page has it: what the page had not finished when it went never happens. */
  seenBy(page: { readonly alive: boolean }): DurableStore {
    const whileAlive = <T>(act: () => Promise<T>): Promise<T> => this.#after(act, page);
    const memory = this.#memory;
    return {
      kind: this.kind,
      get: (key) => whileAlive(() => memory.get(key)),
      put: (key, value) => whileAlive(() => this.#write(key, value)),
      remove: (key) => whileAlive(() => memory.remove(key)),
      list: (prefix) => whileAlive(() => memory.list(prefix)),
      removeAll: (prefix) => whileAlive(() => memory.removeAll(prefix)),
    };
  }

  get(key: string): Promise<unknown> {
    return this.#after(() => this.#memory.get(key));
  }
  put(key: string, value: unknown): Promise<void> {
    return this.#after(() => this.#write(key, value));
  }
  remove(key: string): Promise<void> {
    return this.#after(() => this.#memory.remove(key));
  }
  list(prefix: string): Promise<[string, unknown][]> {
    return this.#after(() => this.#memory.list(prefix));
  }
  removeAll(prefix: string): Promise<void> {
    return this.#after(() => this.#memory.removeAll(prefix));
  }

  #write(key: string, value: unknown): Promise<void> {
    if (this.full) throw new DOMException("no room", "QuotaExceededError");
    this.writes.push(key);
    return this.#memory.put(key, structuredClone(value));
  }

  async #after<T>(act: () => Promise<T>, page?: { readonly alive: boolean }): Promise<T> {
    await new Promise<void>((done) => setTimeout(() => page?.alive !== false && done(), 1));
    if (this.failing) throw new DOMException("closed", "InvalidStateError");
    return act();
  }
}

export interface TabFeatures {
  readonly locks?: boolean;
  readonly broadcast?: boolean;
  readonly storage?: boolean;
  readonly pageOrigin?: string;
}

/** One tab. Its environment is that of the page it shows at present. */
export class FakeTab {
  environment: Environment;
  #page = { alive: true };
  readonly #watchers = new Set<PageWatcher>();

  constructor(
    readonly browser: FakeBrowser,
    readonly storage: FakeStorage,
    readonly features: TabFeatures,
  ) {
    this.environment = this.#load();
  }

  /** The page goes, with its sockets, locks and listeners; the tab shows it anew. */
  reload(): void {
    this.#page.alive = false;
    this.browser.locks.dropPage(this.environment);
    this.#watchers.clear();
    this.environment = this.#load();
  }

  /** What `window.open` and "duplicate tab" do: a new tab with a copy of the session storage. */
  duplicate(): FakeTab {
    return new FakeTab(this.browser, new FakeStorage(this.storage.entries), this.features);
  }

  /** Online again, shown again, or back from the cache. */
  wake(): void {
    for (const watcher of [...this.#watchers]) watcher.wake();
  }

  /**
   * The tab goes to another page, and this one into the back/forward cache, with its locks.
   * @return brings it back, in place of the page shown by then.
   */
  leave(): () => void {
    const { environment } = this;
    const life = this.#page;
    const kept = [...this.#watchers];
    for (const watcher of kept) watcher.park();
    this.#watchers.clear();
    this.environment = this.#load();
    return () => {
      this.#page.alive = false;
      this.browser.locks.dropPage(this.environment);
      this.#watchers.clear();
      this.#page = life;
      this.environment = environment;
      for (const watcher of kept) this.#watchers.add(watcher);
      this.wake();
    };
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  #load(): Environment {
    const { browser, features } = this;
    let counter = 0;
    const life = { alive: true };
    this.#page = life;
    const disk = browser.disk.seenBy(life);
    const page = {
      openTransport: lastingAs(life, browser.server.openTransport),
      fetch: ((url: string, init: RequestInit) => browser.fetch(url, init)) as typeof fetch,
      storage: features.storage === false ? null : this.storage,
      openStore: () => Promise.resolve<DurableStore>(features.storage === false ? new MemoryStore() : disk),
      openBroadcast: features.broadcast === false ? null : () => browser.channels.open(),
      now: () => Date.now(),
      random: () => browser.random(),
      randomBytes: (count: number) => Uint8Array.from({ length: count }, () => ++counter + ++browser.randomCounter),
      pageOrigin: features.pageOrigin ?? "https://chat.example",
      watchPage: (watcher: PageWatcher) => {
        this.#watchers.add(watcher);
        return () => void this.#watchers.delete(watcher);
      },
      heldSlots: new Set<number>(),
    };
    // The page object itself stands for the page as holder of locks.
    return Object.assign(page, {
      locks: features.locks === false ? null : browser.locks.keeperOf(page),
    }) as Environment;
  }
}

/** Sockets of a page: they neither speak nor listen once the page has gone. */
function lastingAs(life: { readonly alive: boolean }, open: TransportFactory): TransportFactory {
  return (url, events) => {
    const transport = open(url, {
      opened: () => life.alive && events.opened(),
      frame: (text) => life.alive && events.frame(text),
      closed: (code) => life.alive && events.closed(code),
    });
    return {
      send: (frame) => void (life.alive && transport.send(frame)),
      close: (code) => transport.close(code),
    };
  };
}

export class FakeBrowser {
  readonly locks = new FakeLocks();
  readonly channels = new Channels();
  readonly disk = new FakeDisk();
  randomCounter = 0;
  random = (): number => 0.5;
  fetch: (url: string, init: RequestInit) => Promise<Response> = () => Promise.reject(new TypeError("no network"));

  constructor(readonly server: FakeServer) {}

  openTab(features: TabFeatures = {}): FakeTab {
    return new FakeTab(this, new FakeStorage(), features);
  }
}
