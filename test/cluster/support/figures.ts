/**
 * Times that a test took, and how busy the machine was with other things meanwhile.
 * @module
 */
import * as os from "node:os";

const lookMs = 500;
/** Of all cores' time; above this a machine is busy with something else than the test. */
const busyMax = 0.25;
/** On a busy machine times may be so many times as long. */
const busyFactor = 4;

/** Asserted limits of times, by how busy the machine is before the test begins. */
export class Machine {
  readonly factor: number;
  readonly #told: string;

  private constructor(busy: number) {
    this.factor = busy > busyMax ? busyFactor : 1;
    const percent = `${Math.round(busy * 100)} % busy before the test`;
    this.#told = this.factor === 1 ? percent : `${percent}: limits are ${busyFactor} times as long`;
  }

  /** Looks for a moment. Call it before anything is started. */
  static async look(): Promise<Machine> {
    const before = cpuTimes();
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    const after = cpuTimes();
    return new Machine(1 - (after.idle - before.idle) / (after.all - before.all));
  }

  /** Says what was measured, and gives the median and the largest. */
  tell(what: string, timesMs: readonly number[]): { medianMs: number; maxMs: number } {
    const sorted = [...timesMs].sort((a, b) => a - b);
    const [medianMs = Number.NaN, maxMs = Number.NaN] = [sorted[sorted.length >> 1], sorted.at(-1)];
    const all = timesMs.map((ms) => ms.toFixed(0)).join(" ");
    console.log(
      `${what}: median ${medianMs.toFixed(0)} ms, max ${maxMs.toFixed(0)} ms (${all}); machine ${this.#told}`,
    );
    return { medianMs, maxMs };
  }
}

function cpuTimes(): { idle: number; all: number } {
  const times = os.cpus().map(({ times }) => times);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.map((time) => sum(Object.values(time)))) };
}
