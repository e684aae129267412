// Waiting for events. Every wait has a deadline and says what it waited for; nothing sleeps.

/** Longest wait of a test. A loaded machine is slow; a server that does not answer fails anyway. */
export const patienceMs = 20_000;

/** `promise`, or a rejection that says what did not happen in time. */
export function within(promise, what, ms = patienceMs) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again and again until the answer is the wanted one, which it returns. */
export async function eventually(ask, wanted, what, ms = patienceMs) {
  const deadline = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
  }
}

/** Things that arrive one by one, and those who wait for a certain one. */
export class Arrivals {
  constructor() {
    this.all = [];
    this.#waiting = new Set();
  }
  #waiting;

  add(item) {
    this.all.push(item);
    for (const waiter of this.#waiting) {
      if (!waiter.wanted(item)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(item);
    }
  }

  /** Everybody who still waits learns that nothing will come. */
  end(error) {
    for (const waiter of this.#waiting) waiter.reject(error);
    this.#waiting.clear();
  }

  /** The first item, of those from `from` on, that `wanted` accepts; waits for it if need be. */
  async first(wanted, what, { from = 0, ms = patienceMs } = {}) {
    const there = this.all.slice(from).find(wanted);
    if (there !== undefined) return there;
    let waiter;
    const arrival = new Promise((resolve, reject) => {
      waiter = { wanted, resolve, reject };
      this.#waiting.add(waiter);
    });
    return within(arrival, what, ms).finally(() => this.#waiting.delete(waiter));
  }
}
