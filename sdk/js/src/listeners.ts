/**
 * Listeners that are waited for: a message counts as handled when every listener has returned, and the
 * promises that they returned have settled. One that throws or takes too long has had its chance.
 */
import { reportListenerFailure } from "./log.js";
import type { MessageListener } from "./message_types.js";

export const listenerLimitMs = 30_000;

export class PatientEmitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<MessageListener<never>>>();
  readonly #waiting = new Map<keyof Events, Set<() => void>>();
  readonly #tooSlow: (name: keyof Events) => void;

  /** @param tooSlow  told of a listener whose promise did not settle in time. */
  constructor(tooSlow: (name: keyof Events) => void) {
    this.#tooSlow = tooSlow;
  }

  on<Name extends keyof Events>(name: Name, listener: MessageListener<Events[Name]>): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    for (const go of this.#waiting.get(name) ?? []) go();
    this.#waiting.delete(name);
    return () => this.off(name, listener);
  }

  off<Name extends keyof Events>(name: Name, listener: MessageListener<Events[Name]>): void {
    this.#listeners.get(name)?.delete(listener);
  }

  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Settles when there is a listener of this name. */
  async someone(name: keyof Events): Promise<void> {
    while (!this.has(name)) {
      await new Promise<void>((go) => {
        this.#waiting.set(name, (this.#waiting.get(name) ?? new Set()).add(go));
      });
    }
  }

  /** Calls the listeners; settles when all of them are done, never rejects. */
  async emit<Name extends keyof Events>(name: Name, event: Events[Name]): Promise<void> {
    // A copy: a listener may remove itself or add others while it runs.
    const called = [...(this.#listeners.get(name) ?? [])];
    await Promise.all(called.map((listener) => this.#call(name, () => (listener as MessageListener<Events[Name]>)(event))));
  }

  async #call(name: keyof Events, listener: () => unknown): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const returned = listener();
      if (!isThenable(returned)) return;
      const limit = new Promise<void>((give) => {
        timer = setTimeout(() => {
          this.#tooSlow(name);
          give();
        }, listenerLimitMs);
      });
      await Promise.race([returned, limit]);
    } catch (thrown) {
      reportListenerFailure(thrown);
    } finally {
      clearTimeout(timer);
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
