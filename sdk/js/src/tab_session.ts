/**
 * Whom a client of this tab stands for, as which device, with which session; and what of that survives a
 * reload.
 *
 * The person is fixed by the first ticket or session and stays until the client ends: a client never
 * turns into somebody else behind a page's back.
 */
import { checkPerson, type Given, type Person } from "./credentials.js";
import { claimDevice, type DeviceClaim } from "./device.js";
import type { Environment } from "./environment.js";
import { clearSessions, loadSession, saveSession } from "./session_store.js";
import { readTicket } from "./ticket.js";
import type { Session } from "./types.js";

export interface TabOptions {
  /** What the page's author fixed. */
  readonly person: Person;
  readonly device: string | undefined;
  /** Whether sessions are stored and taken up again. */
  readonly resume: boolean;
}

export class TabSession {
  readonly #environment: Environment;
  readonly #gateway: string;
  readonly #options: TabOptions;
  #known: Person;
  #session: Session | null = null;
  #deviceId = "";
  #claim: Promise<DeviceClaim> | null = null;
  /** The id that was last given back. */
  #released: Promise<string | null> = Promise.resolve(null);

  /** @param gateway  sessions of another gateway are left alone. */
  constructor(environment: Environment, gateway: string, options: TabOptions) {
    this.#environment = environment;
    this.#gateway = gateway;
    this.#options = options;
    this.#known = options.person;
  }

  get person(): Person {
    return this.#known;
  }

  /** The id settled by `settleDevice`; empty before that. */
  get device(): string {
    return this.#deviceId;
  }

  get current(): Session | null {
    return this.#session;
  }

  /**
   * Becomes the person of the credentials a page gave.
   * @throws CountersignError 903 or 905 when the page's author fixed another application or person.
   */
  adopt(given: Given): void {
    if (given.kind === "nothing") return;
    const found = given.kind === "ticket" ? given.claims : given.session;
    checkPerson(this.#options.person, found);
    const signIn = given.kind === "ticket" ? given.claims.session : given.session.signIn;
    this.#known = { applicationKey: found.applicationKey, identity: found.identity, signIn };
    this.#session = null;
  }

  /**
   * Accepts a ticket fetched later, which must be for the person this tab is by now.
   * @throws CountersignError 903, 904 or 905.
   */
  acceptTicket(ticket: string): void {
    const claims = readTicket(ticket);
    checkPerson(this.#known, claims);
    const { applicationKey, identity, session } = claims;
    this.#known = { applicationKey, identity, signIn: session };
  }

  /**
   * Finds the id under which this tab connects.
   * @param wanted  the device of a session the page gave; another id comes out when it is in use.
   */
  async settleDevice(wanted: string | undefined): Promise<string> {
    if (this.#options.device !== undefined) return (this.#deviceId = this.#options.device);
    // An id that is just being given back is worth waiting for: it is this tab's own.
    this.#claim ??= this.#released.then(() => claimDevice(this.#environment, wanted));
    const { id } = await this.#claim;
    this.#deviceId = id;
    return id;
  }

  /** Takes up the session the tab stored before a reload, if it fits the person. */
  restore(): Session | null {
    if (!this.#options.resume) return null;
    const session = loadSession(this.#environment.storage, this.#gateway, this.#deviceId, this.#known);
    if (session === null) return null;
    this.use(session);
    return session;
  }

  /** Goes on with a session the page gave. */
  use(session: Session): void {
    const { applicationKey, identity, signIn } = session;
    this.#session = session;
    this.#known = { applicationKey, identity, signIn };
  }

  /** Notes what the gateway granted, for this page and for its next load. */
  keep(instance: string, secret: string, expiresAt: number | null): void {
    const { applicationKey, identity, signIn } = this.#known;
    if (applicationKey === undefined || identity === undefined) return;
    this.#session = {
      instance,
      secret,
      applicationKey,
      identity,
      device: this.#deviceId,
      expiresAt: expiresAt === null ? "" : new Date(expiresAt).toISOString(),
      ...(signIn === undefined ? {} : { signIn }),
    };
    if (this.#options.resume) saveSession(this.#environment.storage, this.#gateway, this.#session);
  }

  /** Forgets session and person; the next connect may be for somebody else. */
  forget(): void {
    this.#session = null;
    this.#known = this.#options.person;
    if (this.#deviceId !== "") clearSessions(this.#environment.storage, this.#deviceId);
  }

  /** Lets other clients have the device id while this one is stopped; it asks for it again. */
  release(): void {
    this.#letGo((held) => held.release());
  }

  /** Another tab lives under this id: after a reload this one must not push it out in turn. */
  abandonDevice(): void {
    this.#letGo((held) => held.forget());
  }

  /** Forgets everything; settles when a device id that was still being claimed is free as well. */
  async leave(): Promise<void> {
    this.release();
    this.forget();
    const id = await this.#released;
    if (id !== null) clearSessions(this.#environment.storage, id);
  }

  #letGo(how: (held: DeviceClaim) => void): void {
    const claim = this.#claim;
    if (claim === null) return;
    this.#claim = null;
    this.#released = claim.then((held) => {
      how(held);
      return held.id;
    });
  }
}
