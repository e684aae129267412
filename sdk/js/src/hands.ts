/** What the hands of every machine (`state.ts`, `inbox.ts`, `outbox.ts`) are made of: turns and timers. */

/** Inputs of a machine, one at a time: those that arise while one is taken wait their turn. */
export class Turns<Input> {
  readonly #take: (input: Input) => void;
  readonly #waiting: Input[] = [];
  #taking = false;

  constructor(take: (input: Input) => void) {
    this.#take = take;
  }

  push(input: Input): void {
    this.#waiting.push(input);
    if (this.#taking) return;
    this.#taking = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#take(next);
    } finally {
      this.#taking = false;
    }
  }
}

/** Timers with names: one that is started again is set anew. */
export class Timers<Name> {
  readonly #due: (name: Name) => void;
  readonly #running = new Map<Name, ReturnType<typeof setTimeout>>();

  constructor(due: (name: Name) => void) {
    this.#due = due;
  }

  start(name: Name, ms: number): void {
    this.stop(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      this.#due(name);
    }, ms);
    this.#running.set(name, timer);
  }

  stop(name: Name): void {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  stopAll(): void {
    for (const name of [...this.#running.keys()]) this.stop(name);
  }
}
