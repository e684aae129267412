/**
 * Reads what a user ticket says, for display.
 *
 * Nothing here verifies anything: only a server that holds the application secret can. The claims serve
 * to show a person who they are, and to notice early that a ticket is for another application or
 * another person.
 */
import { CountersignError, codeBadTicket } from "./errors.js";
import type { Identity } from "./types.js";

export interface TicketClaims {
  readonly identity: Identity;
  readonly applicationKey: string;
  /** When the ticket was made; `null` if it says so in no readable way. */
  readonly created: Date | null;
  readonly expiresInSeconds: number;
  /** When the ticket ends; `null` if `created` is. */
  readonly expiresAt: Date | null;
  /** The public handle of the sign-in session, if the issuer added one. */
  readonly session?: string;
}

/** Longest ticket that any verifier accepts, in bytes. */
export const maxTicketLength = 8192;
const defaultLifetimeSeconds = 3600;

/**
 * The claims of a ticket, unverified.
 * @throws CountersignError 904 when the text is not a user ticket.
 */
export function readTicket(ticket: string): TicketClaims {
  const text = ticket.trim();
  if (text.length > maxTicketLength) throw bad("it is too long");
  const parts = text.split(":");
  const [data, signature] = parts;
  if (parts.length !== 2 || !data || !signature) throw bad("it is not two base64 texts with a colon between");
  const payload = parsePayload(data);

  const identity = payload["identity"];
  if (!isRecord(identity)) throw bad("it names no identity");
  const { type, endpoint } = identity;
  if (typeof type !== "string" || typeof endpoint !== "string" || type === "" || endpoint === "") {
    throw bad("its identity has no type or no endpoint");
  }
  // One known producer writes the name of the key in lower case.
  const applicationKey = payload["applicationKey"] ?? payload["applicationkey"];
  if (typeof applicationKey !== "string" || applicationKey === "") throw bad("it names no application");

  const created = readInstant(payload["created"]);
  const expiresInSeconds = readLifetime(payload["expiresIn"]);
  const session = payload["session"];
  return {
    identity: { type, endpoint },
    applicationKey,
    created,
    expiresInSeconds,
    expiresAt: created === null ? null : new Date(created.getTime() + expiresInSeconds * 1000),
    ...(typeof session === "string" && session !== "" ? { session } : {}),
  };
}

/**
 * The ticket in whatever a page has: the text itself, the object `{userTicket}` that ticket endpoints
 * answer, or that object as JSON text. `null` when there is none.
 */
export function ticketOf(value: unknown): string | null {
  if (typeof value === "string") {
    const text = value.trim();
    if (text === "") return null;
    if (!text.startsWith("{")) return text;
    try {
      return ticketOf(JSON.parse(text));
    } catch {
      return text;
    }
  }
  if (isRecord(value) && typeof value["userTicket"] === "string") return ticketOf(value["userTicket"]);
  return null;
}

/** "username alice": how log lines name a person. */
export function describeIdentity(identity: Identity): string {
  return `${identity.type} ${identity.endpoint}`;
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.type === b.type && a.endpoint === b.endpoint;
}

function parsePayload(data: string): Record<string, unknown> {
  let payload: unknown;
  try {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    payload = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The exception's text may quote the ticket: it goes no further.
    throw bad("its first part is not base64 of JSON");
  }
  if (!isRecord(payload)) throw bad("its first part is not a JSON object");
  return payload;
}

/** Years to nanoseconds are accepted, as producers write them; a missing zone means UTC. */
function readInstant(value: unknown): Date | null {
  if (typeof value !== "string") return null;
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?$/.exec(value);
  if (match === null) return null;
  const [, seconds = "", fraction = "", zone = "Z"] = match;
  const time = Date.parse(`${seconds}.${fraction.padEnd(3, "0").slice(0, 3)}${zone}`);
  return Number.isNaN(time) ? null : new Date(time);
}

function readLifetime(value: unknown): number {
  const seconds = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof seconds === "number" && Number.isInteger(seconds) && seconds >= 1 && seconds <= 1e9
    ? seconds
    : defaultLifetimeSeconds;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(why: string): CountersignError {
  return new CountersignError(codeBadTicket, `This is not a user ticket: ${why}.`);
}
