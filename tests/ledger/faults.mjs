// What befalls the servers of a run, and when. A stream of random numbers of its own decides: the same
// seed makes the same faults in the same order with the same pauses between them, however quickly
// clients talk. (When within a run a fault ends depends on how long a server takes to start again.)

/**
 * A kind of fault is {name, deed, choose}: `choose(random)` gives the arguments of the deed, which
 * the rig does: `rig.inflict(deed, arguments)`.
 */
export const singleFaults = [{ name: "kill -9 of the server", deed: "kill", choose: () => [] }];

export const gateways = ["g1", "g2"];
export const buses = ["n1", "n2", "n3"];
const everybody = ["pg", ...gateways, ...buses];

const milliseconds = (random, low, high) => Math.round(random.between(low, high));
const outage = (random) => milliseconds(random, 500, 8000);

/** @param canPart  whether hosts can be cut off from each other */
export function clusterFaults(canPart) {
  const kinds = [
    { name: "kill -9 of one of six", deed: "kill", choose: (random) => [random.pick(everybody), milliseconds(random, 0, 3000)] },
    { name: "kill -9 of a gateway", deed: "kill", choose: (random) => [random.pick(gateways), milliseconds(random, 0, 2000)] },
    { name: "kill -9 of PostgreSQL", deed: "kill", choose: (random) => ["pg", milliseconds(random, 0, 2000)] },
    { name: "pause of one of six", deed: "pause", choose: (random) => [random.pick(everybody), outage(random)] },
    { name: "pause of PostgreSQL", deed: "pause", choose: (random) => ["pg", outage(random)] },
  ];
  const partitions = [
    { name: "one of six cut off", deed: "cut", choose: (random) => [random.pick(everybody), outage(random)] },
    { name: "a gateway and PostgreSQL apart", deed: "part", choose: (random) => [random.pick(gateways), "pg", outage(random)] },
    { name: "a gateway and a NATS server apart", deed: "part", choose: (random) => [random.pick(gateways), random.pick(buses), outage(random)] },
  ];
  return canPart ? [...kinds, ...partitions] : kinds;
}

export class FaultPlan {
  #kinds;
  #random;
  #every;
  #first; // kinds that have not been planned yet, the next one last

  /**
   * @param kinds   of which each comes once, in an order that the numbers decide, before any comes again
   * @param random  of nobody else
   * @param every   seconds between the end of a fault and the next, on average
   */
  constructor(kinds, random, every) {
    this.#kinds = kinds;
    this.#random = random;
    this.#every = every;
    this.#first = [...kinds];
    for (let at = this.#first.length - 1; at > 0; at--) {
      const other = random.below(at + 1);
      [this.#first[at], this.#first[other]] = [this.#first[other], this.#first[at]];
    }
  }

  /** The next fault: {name, deed, choice, wait}, `wait` in milliseconds after the one before has ended. */
  next() {
    const wait = milliseconds(this.#random, 300 * this.#every, 1700 * this.#every);
    const { name, deed, choose } = this.#first.pop() ?? this.#random.pick(this.#kinds);
    return { name, deed, choice: choose(this.#random), wait };
  }
}
