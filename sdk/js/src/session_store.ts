/**
 * Where a tab keeps what it needs to come back after a reload: its instance and that instance's secret,
 * in session storage, per (application, identity, device). A tab is one person at a time, so saving one
 * session of a device removes its others. Tickets are never stored.
 */
import type { KeyValueStore } from "./environment.js";
import { isBody } from "./protocol.js";
import { sameIdentity } from "./ticket.js";
import type { Identity, Session } from "./types.js";

/** Which stored session will do; what is absent may be anything. */
export interface SessionFilter {
  readonly applicationKey?: string | undefined;
  readonly identity?: Identity | undefined;
}

const root = "countersign/session/";

function prefixOf(device: string): string {
  return `${root}${encodeURIComponent(device)}/`;
}

function keyOf(session: Session): string {
  const parts = [session.applicationKey, session.identity.type, session.identity.endpoint];
  return prefixOf(session.device) + parts.map(encodeURIComponent).join("/");
}

export function saveSession(storage: KeyValueStore | null, gateway: string, session: Session): void {
  clearSessions(storage, session.device);
  try {
    storage?.setItem(keyOf(session), JSON.stringify({ gateway, session }));
  } catch {
    // Storage is forbidden or full: after a reload the page needs a new ticket, nothing worse.
  }
}

/** The session of this device at this gateway, or `null`. */
export function loadSession(
  storage: KeyValueStore | null,
  gateway: string,
  device: string,
  filter: SessionFilter = {},
): Session | null {
  for (const key of keysOf(storage, device)) {
    const session = parse(storage, key, gateway);
    if (session === null || session.device !== device) continue;
    if (filter.applicationKey !== undefined && session.applicationKey !== filter.applicationKey) continue;
    if (filter.identity !== undefined && !sameIdentity(session.identity, filter.identity)) continue;
    return session;
  }
  return null;
}

/** Removes every session of a device from this tab. */
export function clearSessions(storage: KeyValueStore | null, device: string): void {
  for (const key of keysOf(storage, device)) {
    try {
      storage?.removeItem(key);
    } catch {
      // What cannot be read cannot be kept either.
    }
  }
}

/** The session in any object, if it has all that a session needs. */
export function readSession(value: unknown): Session | null {
  if (!isBody(value) || !isBody(value["identity"])) return null;
  const { type, endpoint } = value["identity"];
  const { instance, secret, applicationKey, device, expiresAt, signIn } = value;
  if (!isText(type) || !isText(endpoint) || !isText(instance) || !isText(secret)) return null;
  if (!isText(applicationKey) || !isText(device) || typeof expiresAt !== "string") return null;
  const session = { instance, secret, applicationKey, identity: { type, endpoint }, device, expiresAt };
  return isText(signIn) ? { ...session, signIn } : session;
}

function keysOf(storage: KeyValueStore | null, device: string): string[] {
  const keys: string[] = [];
  try {
    for (let index = 0; index < (storage?.length ?? 0); ++index) {
      const key = storage?.key(index);
      if (key?.startsWith(prefixOf(device))) keys.push(key);
    }
  } catch {
    return [];
  }
  return keys;
}

function parse(storage: KeyValueStore | null, key: string, gateway: string): Session | null {
  try {
    const record: unknown = JSON.parse(storage?.getItem(key) ?? "null");
    return isBody(record) && record["gateway"] === gateway ? readSession(record["session"]) : null;
  } catch {
    return null;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
