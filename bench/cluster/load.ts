/**
 * Calls in plenty, and how long they take.
 * @module
 */

/** What was measured. */
export interface Figures {
  readonly perS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const warmMs = 2_000;
const measuredMs = 8_000;

/** Keeps so many calls going for some seconds; those that begin in the first two are not counted. */
export async function measure(inFlight: number, call: () => Promise<unknown>): Promise<Figures> {
  const times: number[] = [];
  const beginMs = performance.now() + warmMs;
  const endMs = beginMs + measuredMs;
  const work = async () => {
    for (let sinceMs = performance.now(); sinceMs < endMs; ) {
      await call();
      const nowMs = performance.now();
      if (sinceMs >= beginMs) times.push(nowMs - sinceMs);
      sinceMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return { perS: (1000 * times.length) / measuredMs, ...percentiles(times) };
}

export function percentiles(times: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** So many a second, and how it compares with what is beside it. */
export function told({ perS, p50Ms, p99Ms }: Figures, unit: (perS: number) => string, beside?: Figures): string {
  const ratio = beside === undefined ? "" : `   ${(perS / beside.perS).toFixed(2)} × the rate of one node`;
  return `${unit(perS).padStart(16)}   p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms${ratio}`;
}
