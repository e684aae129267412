/**
 * Tells the other tabs of this origin about a sign-out, and listens for theirs. The gateway ends their
 * instances by itself within two seconds; this is for the tab that is offline, and for the two seconds.
 */
import type { Person } from "./credentials.js";
import type { Broadcast, Environment } from "./environment.js";
import { isBody } from "./protocol.js";
import { sameIdentity } from "./ticket.js";

export const channelName = "countersign";

export class SignOutChannel {
  readonly #environment: Environment;
  #channel: Broadcast | null = null;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Calls back when another tab signed out the person that `self` describes at that moment. */
  open(self: () => Person, signedOut: () => void): void {
    this.close();
    this.#channel = this.#connect();
    if (this.#channel === null) return;
    this.#channel.onmessage = ({ data }) => {
      if (concerns(data, self())) signedOut();
    };
  }

  announce(person: Person): void {
    const { applicationKey, identity, signIn } = person;
    const channel = this.#channel ?? this.#connect();
    channel?.postMessage({ signedOut: { applicationKey, identity, session: signIn } });
    if (channel !== this.#channel) channel?.close();
  }

  close(): void {
    if (this.#channel === null) return;
    this.#channel.onmessage = null;
    this.#channel.close();
    this.#channel = null;
  }

  #connect(): Broadcast | null {
    try {
      return this.#environment.openBroadcast?.(channelName) ?? null;
    } catch {
      return null;
    }
  }
}

/** Two handles decide by themselves; without one on either side, application and identity do. */
function concerns(data: unknown, self: Person): boolean {
  const notice = isBody(data) ? data["signedOut"] : undefined;
  if (!isBody(notice)) return false;
  const { applicationKey, identity, session } = notice;
  if (typeof session === "string" && self.signIn !== undefined) return session === self.signIn;
  if (!isBody(identity) || self.identity === undefined || self.applicationKey === undefined) return false;
  const { type, endpoint } = identity;
  if (typeof type !== "string" || typeof endpoint !== "string") return false;
  return applicationKey === self.applicationKey && sameIdentity({ type, endpoint }, self.identity);
}
