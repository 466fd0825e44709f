/** Seconds to wait before attempt number `attempt` (0 is the first retry): doubled each time, capped, and spread by
 * `random` (0..1) over the upper half, so that 500 desks do not come back in the same instant. */
export function backoff(attempt: number, random: number, first = 0.5, cap = 15): number {
  const whole = Math.min(cap, first * 2 ** Math.min(attempt, 30))
  return whole / 2 + (whole / 2) * random
}
