/**
 * A clock that never runs slow and never runs back.
 *
 * `performance.now()` stands still while some systems sleep; `Date.now()` jumps when somebody corrects
 * the clock. Each step adds the larger of what the two have advanced: a forward jump then at worst
 * refreshes a ticket early, while time slept through is never missed.
 */
export interface ClockSources {
  readonly wall: () => number;
  readonly steady: () => number;
}

export function makeClock(sources: ClockSources): () => number {
  let wall = sources.wall();
  let steady = sources.steady();
  let now = 0;
  return () => {
    const nextWall = sources.wall();
    const nextSteady = sources.steady();
    now += Math.max(0, nextWall - wall, nextSteady - steady);
    wall = nextWall;
    steady = nextSteady;
    return now;
  };
}
