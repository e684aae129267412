/**
 * How long to wait before the next attempt.
 *
 * The first comes at once, spread over 0 to 300 ms so that a restarted server does not meet all its
 * clients in the same millisecond; later ones grow exponentially with full jitter, to 15 s.
 */
export const firstDelayMs = 300;
export const baseDelayMs = 500;
export const maxDelayMs = 15_000;
/** A server may ask for patience, but not for ever. */
export const maxServerDelayMs = 300_000;

/**
 * @param attempt  0 for the first attempt after a loss.
 * @param random   uniform in [0, 1).
 * @param retryAfterMs  the wait a server asked for; it is a lower limit, spread like a first attempt.
 * @return milliseconds.
 */
export function backoffDelayMs(attempt: number, random: number, retryAfterMs?: number): number {
  const ceiling = attempt <= 0 ? firstDelayMs : Math.min(maxDelayMs, baseDelayMs * 2 ** Math.min(attempt, 20));
  const own = random * ceiling;
  if (retryAfterMs === undefined || !(retryAfterMs > 0)) return Math.round(own);
  return Math.round(Math.max(own, Math.min(retryAfterMs, maxServerDelayMs) + random * firstDelayMs));
}

/** "1.2 s" or "40 ms", for the log. */
export function readableDelay(ms: number): string {
  return ms < 100 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
