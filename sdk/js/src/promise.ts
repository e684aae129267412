/**
 * The promise of the classic API: an ordinary promise that also has `.fail()` and `.progress()`, as have
 * the promises that its own methods return.
 */
import { reportListenerFailure } from "./log.js";

type ProgressListener<P> = (progress: P) => void;

/** Who listens for progress; shared by all promises derived from one, deaf once that one has settled. */
class ProgressHub<P> {
  #listeners: ProgressListener<P>[] = [];
  #settled = false;

  add(listener: ProgressListener<P>): void {
    if (!this.#settled) this.#listeners.push(listener);
  }

  notify(progress: P): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(progress);
      } catch (thrown) {
        reportListenerFailure(thrown);
      }
    }
  }

  settle(): void {
    this.#settled = true;
    this.#listeners = [];
  }
}

export class ProgressPromise<T, P> implements PromiseLike<T> {
  readonly #inner: Promise<T>;
  readonly #hub: ProgressHub<P>;

  private constructor(inner: Promise<T>, hub: ProgressHub<P>) {
    this.#inner = inner;
    this.#hub = hub;
  }

  /**
   * Runs `work` with a function that tells progress; settles as the promise it returns. The work begins
   * in the next microtask, so that a `.progress()` chained to the result misses nothing.
   */
  static run<T, P>(work: (notify: (progress: P) => void) => Promise<T>): ProgressPromise<T, P> {
    const hub = new ProgressHub<P>();
    const begun = Promise.resolve().then(() => work((progress) => hub.notify(progress)));
    const inner = begun.then(
      (value) => {
        hub.settle();
        return value;
      },
      (reason: unknown) => {
        hub.settle();
        throw reason;
      },
    );
    return new ProgressPromise(inner, hub);
  }

  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
    onProgress?: ProgressListener<P> | null,
  ): ProgressPromise<A | B, P> {
    if (onProgress) this.#hub.add(onProgress);
    return new ProgressPromise(this.#inner.then(onFulfilled, onRejected), this.#hub);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): ProgressPromise<T | B, P> {
    return new ProgressPromise(this.#inner.catch(onRejected), this.#hub);
  }

  /** The same as `catch`, under the name the classic SDK had. */
  fail<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): ProgressPromise<T | B, P> {
    return this.catch(onRejected);
  }

  finally(onSettled?: (() => void) | null): ProgressPromise<T, P> {
    return new ProgressPromise(this.#inner.finally(onSettled), this.#hub);
  }

  /** Calls `listener` with each step on the way. */
  progress(listener: ProgressListener<P>): ProgressPromise<T, P> {
    this.#hub.add(listener);
    return new ProgressPromise(this.#inner, this.#hub);
  }

  get [Symbol.toStringTag](): string {
    return "Promise";
  }
}
