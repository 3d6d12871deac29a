import type { LineSource } from "./line-source.ts";
import { formatBytes, formatCount } from "./units.ts";

/** Shows on stderr how far a command is. */
export interface Progress {
  /** Bytes and records that are done. */
  update(bytes: number, records: number): void;
  stop(): void;
}

const silent: Progress = { update: () => {}, stop: () => {} };
/** The rate is that of so long a time before now. */
const rateWindowMs = 2_000;

/** A bar where the size of the input is known, a line of figures where it is not, nothing where no terminal watches. */
export async function openProgress(sources: readonly LineSource[], isQuiet: boolean): Promise<Progress> {
  return await openBar(
    sources.reduce((sum, source) => sum + (source.bytes ?? Number.NaN), 0),
    isQuiet,
  );
}

/** The same for so many bytes; NaN: nobody knows how many. */
export async function openBar(total: number, isQuiet: boolean): Promise<Progress> {
  if (isQuiet || !process.stderr.isTTY) return silent;
  const { default: cliProgress } = await import("cli-progress");
  const format = Number.isNaN(total) ? "{done}  {records} records  {rate}/s" : "{bar} {percentage}%  {done}  {rate}/s";
  const bar = new cliProgress.SingleBar({ format, stream: process.stderr, clearOnComplete: true });
  const rateOf = rateMeter();
  bar.start(Number.isNaN(total) ? 1 : total, 0, { done: formatBytes(0), records: "0", rate: formatBytes(0) });
  return {
    update(bytes, records) {
      const figures = { done: formatBytes(bytes), records: formatCount(records), rate: formatBytes(rateOf(bytes)) };
      bar.update(Number.isNaN(total) ? 0 : bytes, figures);
    },
    stop: () => bar.stop(),
  };
}

/** Gives bytes a second over the last seconds. */
function rateMeter(): (bytes: number) => number {
  let from = { ms: performance.now(), bytes: 0 };
  let middle = from;
  return (bytes) => {
    const ms = performance.now();
    if (ms - middle.ms > rateWindowMs) {
      from = middle;
      middle = { ms, bytes };
    }
    const elapsedMs = ms - from.ms;
    return elapsedMs > 0 ? Math.round(((bytes - from.bytes) / elapsedMs) * 1000) : 0;
  };
}
