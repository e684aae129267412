/**
 * The wire form of `countersign.v1.json`: frames to messages, and the two replies that carry data.
 *
 * Everything received is untrusted: only own members of the expected type are taken over, unknown
 * members are ignored, and what does not parse is reported as malformed, never thrown.
 */
import { CountersignError, codeInternal, describeCode } from "./errors.js";
import type { Identity } from "./types.js";

export type Body = Readonly<Record<string, unknown>>;

export type Message =
  | { readonly kind: "ping" }
  | { readonly kind: "reply"; readonly id: number; readonly body: Body }
  | { readonly kind: "failure"; readonly id: number; readonly error: CountersignError }
  | { readonly kind: "push"; readonly name: string; readonly body: Body }
  | { readonly kind: "malformed" };

/** Longest frame that is read, in UTF-16 units: far above what a gateway sends. */
export const maxFrameLength = 1 << 20;

/** A frame is one or more JSON objects, one per line. */
export function decodeFrame(frame: string): Message[] {
  if (frame.length > maxFrameLength) return [{ kind: "malformed" }];
  return frame
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(decodeLine);
}

function decodeLine(line: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { kind: "malformed" };
  }
  if (!isBody(value)) return { kind: "malformed" };

  const id = own(value, "id");
  if (id !== undefined) {
    if (typeof id !== "number") return { kind: "malformed" };
    const error = own(value, "error");
    return isBody(error)
      ? { kind: "failure", id, error: decodeError(error) }
      : { kind: "reply", id, body: value };
  }

  const push = own(value, "push");
  if (push !== undefined) {
    if (!isBody(push)) return { kind: "malformed" };
    const [name] = Object.keys(push);
    if (name === undefined) return { kind: "malformed" };
    const body = own(push, name);
    return { kind: "push", name, body: isBody(body) ? body : {} };
  }
  return Object.keys(value).length === 0 ? { kind: "ping" } : { kind: "malformed" };
}

/** The error of a command, or of a message that did not arrive. */
export function decodeError(error: Body): CountersignError {
  const code = numberIn(error, "code") ?? codeInternal;
  const temporary = own(error, "temporary");
  const message = own(error, "message");
  return new CountersignError(
    code,
    typeof message === "string" && message !== "" ? message : undefined,
    {
      temporary: typeof temporary === "boolean" ? temporary : (describeCode(code)?.temporary ?? false),
      retryAfterMs: numberIn(error, "retry_after_ms"),
    },
  );
}

/** The reply to `connect`, as far as this client uses it. */
export interface ConnectReply {
  readonly connection: string;
  readonly node: string;
  readonly user: Identity | null;
  readonly device: string | null;
  /** Milliseconds since 1970 by the server's clock. */
  readonly serverTime: number | null;
  readonly instanceExpiresAt: number | null;
  readonly pingIntervalMs: number;
  readonly pong: boolean;
  readonly limits: Readonly<Record<string, number>>;
  readonly instance: string | null;
  readonly secret: string | null;
  /** Where this device stands in its inbox, for a client that asked for it (`message_wire.ts`). */
  readonly inbox: unknown;
}

const defaultPingIntervalMs = 25_000;

/** @return `null` when the reply has no `connect` member at all. */
export function decodeConnect(body: Body): ConnectReply | null {
  const reply = own(body, "connect");
  if (!isBody(reply)) return null;
  const user = own(reply, "user");
  const ping = own(reply, "ping");
  const limits = own(reply, "limits");
  const type = isBody(user) ? stringIn(user, "type") : null;
  const endpoint = isBody(user) ? stringIn(user, "endpoint") : null;
  const interval = isBody(ping) ? numberIn(ping, "interval") : undefined;
  return {
    connection: stringIn(reply, "connection") ?? "",
    node: stringIn(reply, "node") ?? "",
    user: type !== null && endpoint !== null ? { type, endpoint } : null,
    device: stringIn(reply, "device"),
    serverTime: timeIn(reply, "server_time"),
    instanceExpiresAt: timeIn(reply, "instance_expires_at"),
    pingIntervalMs:
      interval !== undefined && interval >= 1000 && interval <= 600_000 ? interval : defaultPingIntervalMs,
    pong: isBody(ping) && own(ping, "pong") === true,
    limits: isBody(limits) ? numbersOf(limits) : {},
    instance: stringIn(reply, "instance"),
    secret: stringIn(reply, "secret"),
    inbox: own(reply, "inbox"),
  };
}

/** When the instance ends after a `refresh`, in milliseconds since 1970 by the server's clock. */
export function decodeRefresh(body: Body): number | null {
  const reply = own(body, "refresh");
  return isBody(reply) ? timeIn(reply, "instance_expires_at") : null;
}

/** A finite number that is the object's own, or `undefined`. */
export function numberIn(body: Body, name: string): number | undefined {
  const value = own(body, name);
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** A text that is the object's own and not empty, or `null`. */
export function stringIn(body: Body, name: string): string | null {
  const value = own(body, name);
  return typeof value === "string" && value !== "" ? value : null;
}

/** A time in milliseconds since 1970, or `null`. */
export function timeIn(body: Body, name: string): number | null {
  const text = stringIn(body, name);
  const time = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

function numbersOf(body: Body): Record<string, number> {
  const entries = Object.keys(body).map((name) => [name, numberIn(body, name)] as const);
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, number] => entry[1] !== undefined));
}

/** The object's own member, or `undefined`. */
export function own(body: Body, name: string): unknown {
  return Object.prototype.hasOwnProperty.call(body, name) ? body[name] : undefined;
}

export function isBody(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
