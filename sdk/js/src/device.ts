/**
 * The device id of a tab.
 *
 * The id lives in the tab's session storage, so a reload keeps it. A duplicated tab starts with a copy
 * of that storage; two tabs under one id would replace each other's connection for ever. Therefore a tab
 * holds a Web Lock named by its id and takes a new id when it cannot get the lock. Where there are no
 * locks (plain http on another host), the gateway's close code 4508 ends the older of the two.
 *
 * Several clients in one page are several devices: each takes the lowest free slot, so that after a
 * reload the clients find their own ids again.
 */
import type { Environment, LockKeeper } from "./environment.js";
import { clearSessions } from "./session_store.js";

export interface DeviceClaim {
  readonly id: string;
  /** Lets others have the id; it stays in storage for the next claim of this tab. */
  release(): void;
  /** Releases the id and removes it from storage: this tab will never be that device again. */
  forget(): void;
}

/**
 * How long to wait for a lock. After a reload the page before may still be on its way out, so the lock
 * is not given up at once.
 */
export const lockWaitMs = 250;

/**
 * Claims a device id for a client of this page.
 * @param wanted  the id to try first, instead of the stored one.
 * @return a claim whose id differs from `wanted` when another tab holds that.
 */
export async function claimDevice(environment: Environment, wanted?: string): Promise<DeviceClaim> {
  const slot = takeSlot(environment.heldSlots);
  const key = slot === 0 ? "countersign/device" : `countersign/device/${slot}`;
  const first = wanted ?? read(environment, key) ?? newDeviceId(environment);
  let id = first;
  let unlock = await tryLock(environment.locks, id);
  if (unlock === null) {
    if (wanted === undefined) clearSessions(environment.storage, first);
    id = newDeviceId(environment);
    unlock = (await tryLock(environment.locks, id)) ?? noop;
  }
  write(environment, key, id);

  const letGo = unlock;
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    environment.heldSlots.delete(slot);
    letGo();
  };
  return {
    id,
    release,
    forget() {
      if (!released && read(environment, key) === id) write(environment, key, null);
      release();
    },
  };
}

/** 128 random bits; `crypto.randomUUID` does not exist on plain http. */
function newDeviceId(environment: Environment): string {
  return Array.from(environment.randomBytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function takeSlot(held: Set<number>): number {
  let slot = 0;
  while (held.has(slot)) ++slot;
  held.add(slot);
  return slot;
}

/** Gets the lock of an id: a function that lets it go, or `null` when another tab holds it. */
function tryLock(locks: LockKeeper | null, id: string): Promise<(() => void) | null> {
  if (locks === null) return Promise.resolve(noop);
  return new Promise((resolve) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), lockWaitMs);
    const held = (): Promise<void> => {
      clearTimeout(timer);
      return new Promise((release) => resolve(release));
    };
    locks.request(`countersign/device/${id}`, { signal: patience.signal }, held).catch(() => {
      clearTimeout(timer);
      // Refused for another reason than waiting, for instance in a sandboxed frame: do without locks.
      resolve(patience.signal.aborted ? null : noop);
    });
  });
}

function read(environment: Environment, key: string): string | null {
  try {
    const id = environment.storage?.getItem(key) ?? null;
    return id !== null && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null;
  } catch {
    return null;
  }
}

function write(environment: Environment, key: string, id: string | null): void {
  try {
    if (id === null) environment.storage?.removeItem(key);
    else environment.storage?.setItem(key, id);
  } catch {
    // Storage is forbidden or full: the id then lasts as long as the page.
  }
}

function noop(): void {
  // No lock was taken.
}
