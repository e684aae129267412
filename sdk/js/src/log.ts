/**
 * The running commentary: short lines that tell a developer what the client is doing.
 *
 * Tickets and instance secrets must never appear in it. No line is built from one, and as a second
 * fence every credential the client learns is registered with `hide` and cut out of whatever is logged,
 * so that neither a server's text nor an error thrown by a page can carry one through.
 */
export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogEntry {
  readonly message: string;
  readonly level: LogLevel;
  /** RFC 3339, by this computer's clock. */
  readonly time: string;
  /** The part of the SDK that speaks. */
  readonly origin: string;
}

const maxMessageLength = 500;
const maxHidden = 16;
/** Anything of the shape of a user ticket: base64, a colon, the base64 of a MAC. */
const ticketShape = /[A-Za-z0-9+/]{16,}={0,2}:[A-Za-z0-9+/]{20,}={0,2}/g;
// Control characters would let a hostile text forge log lines.
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

export class Log {
  readonly #sink: (entry: LogEntry) => void;
  readonly #origin: string;
  #hidden: string[] = [];

  constructor(sink: (entry: LogEntry) => void, origin: string) {
    this.#sink = sink;
    this.#origin = origin;
  }

  /** Never lets `secret` through from now on. Empty and very short values are left alone. */
  hide(secret: string): void {
    if (secret.length < 8 || this.#hidden.includes(secret)) return;
    this.#hidden = [...this.#hidden, secret].slice(-maxHidden);
  }

  write(level: LogLevel, message: string): void {
    const time = new Date().toISOString();
    this.#sink({ message: this.clean(message), level, time, origin: this.#origin });
  }

  /** The text without credentials and control characters, cut to a bearable length. */
  clean(text: string): string {
    let clean = text;
    for (const secret of this.#hidden) clean = clean.split(secret).join("[hidden]");
    clean = clean.replace(ticketShape, "[hidden]").replace(controls, " ");
    return clean.length > maxMessageLength ? `${clean.slice(0, maxMessageLength - 1)}…` : clean;
  }
}

/** Where an exception goes that a page's own listener threw: the console, never the SDK's control flow. */
export function reportListenerFailure(thrown: unknown): void {
  if (typeof console !== "undefined") console.error("Countersign: a listener of the page threw", thrown);
}
