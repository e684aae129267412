/**
 * All that the SDK takes from the browser, gathered in one object: what is absent is `null` and the SDK
 * does without, and tests bring their own.
 */
import { makeClock } from "./clock.js";
import { openDurableStore, type DurableStore } from "./durable_store.js";
import type { TransportFactory } from "./transport.js";
import { openWebSocket } from "./transport_websocket.js";

/** The part of `Storage` that is used. Any call may throw: storage can be forbidden or full. */
export interface KeyValueStore {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** The part of the Web Locks API that is used. */
export interface LockKeeper {
  request(name: string, options: { signal: AbortSignal }, held: () => Promise<void>): Promise<unknown>;
}

/** The part of `BroadcastChannel` that is used. */
export interface Broadcast {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** What a client wants to know of the page it lives in. */
export interface PageWatcher {
  /** The page may have slept, or the network has returned. */
  wake(): void;
  /** The page is left and may come back as it is, with a wake. */
  park(): void;
}

export interface Environment {
  readonly openTransport: TransportFactory;
  readonly fetch: typeof fetch | null;
  /** Lives as long as the tab, reloads included. */
  readonly storage: KeyValueStore | null;
  /** What outlives the tab and is shared by all tabs; opened once. */
  readonly openStore: () => Promise<DurableStore>;
  readonly locks: LockKeeper | null;
  readonly openBroadcast: ((name: string) => Broadcast) | null;
  /** Milliseconds since some moment; never slow, never back (`clock.ts`). */
  readonly now: () => number;
  /** Uniform in [0, 1); for jitter only. */
  readonly random: () => number;
  /** Unguessable bytes. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** `scheme://host` of the page, or `null` outside of one. */
  readonly pageOrigin: string | null;
  /** Returns how to stop watching. */
  readonly watchPage: (watcher: PageWatcher) => () => void;
  /** Device slots that clients of this page hold (`device.ts`). */
  readonly heldSlots: Set<number>;
}

let shared: Environment | undefined;
let store: Promise<DurableStore> | undefined;

/** What this browser offers. One object per page, because the clients of a page share their slots. */
export function browserEnvironment(): Environment {
  shared ??= {
    openTransport: openWebSocket,
    fetch: typeof fetch === "function" ? fetch.bind(globalThis) : null,
    storage: attempt(() => (typeof sessionStorage === "undefined" ? null : sessionStorage)),
    openStore: () =>
      (store ??= openDurableStore(
        attempt(() => (typeof indexedDB === "undefined" ? null : indexedDB)),
        attempt(() => (typeof localStorage === "undefined" ? null : localStorage)),
      )),
    locks: attempt(() => (typeof navigator === "undefined" ? null : (navigator.locks ?? null))),
    openBroadcast:
      typeof BroadcastChannel === "function" ? (name) => new BroadcastChannel(name) as Broadcast : null,
    now: makeClock({ wall: () => Date.now(), steady: () => performance.now() }),
    random: () => Math.random(),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    pageOrigin: attempt(() => {
      const origin = typeof location === "undefined" ? "null" : location.origin;
      return /^https?:/.test(origin) ? origin : null;
    }),
    watchPage,
    heldSlots: new Set(),
  };
  return shared;
}

/** Reading a property such as `sessionStorage` throws where the user has forbidden it. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/**
 * Back online, shown again, restored from the back/forward cache: each may follow a sleep in which the
 * connection died without a word. A page that goes into that cache is told at `pagehide`, the last event it is
 * sure to see; where the page does not come back, the browser ends what it had.
 */
function watchPage(watcher: PageWatcher): () => void {
  if (typeof window === "undefined" || typeof document === "undefined") return () => undefined;
  const wake = (): void => watcher.wake();
  const whenVisible = (): void => {
    if (document.visibilityState === "visible") wake();
  };
  const whenLeft = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) watcher.park();
  };
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", wake);
  window.addEventListener("pagehide", whenLeft);
  document.addEventListener("visibilitychange", whenVisible);
  return () => {
    window.removeEventListener("online", wake);
    window.removeEventListener("pageshow", wake);
    window.removeEventListener("pagehide", whenLeft);
    document.removeEventListener("visibilitychange", whenVisible);
  };
}
