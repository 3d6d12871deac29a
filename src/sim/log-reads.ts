/**
 * Reads of a run: what is durable once is there for ever, and a read from anywhere gives what is known.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import type { GroupLog } from "../log/types.ts";
import { type GroupModel, must } from "./log-model.ts";
import type { LogWorld } from "./log-world.ts";

/** Reads logs in one life. */
export class LogReads {
  readonly #world: LogWorld;
  /** Looks after a piece of work, and fails the run with it. */
  readonly #spawn: (work: Promise<void>) => void;

  constructor(world: LogWorld, spawn: (work: Promise<void>) => void) {
    this.#world = world;
    this.#spawn = spawn;
  }

  /** Reads a log from its beginning, and on as it grows: what is durable once is there for ever. */
  follow(model: GroupModel, log: GroupLog): void {
    const { random } = this.#world;
    log.setCommit(log.durableEnd.index);
    log.onDurable(() => log.setCommit(log.durableEnd.index));
    let next = 0;
    let reading = false;
    const read = async () => {
      if (reading) return;
      reading = true;
      while (next < log.durableEnd.index && (model.stage === "made" || model.stage === "making")) {
        const { index } = log.durableEnd;
        const batches = await log.read({
          from: { index: next },
          belowIndex: index,
          maxBytes: random.skewed(1, 100_000),
        });
        must(batches.length > 0, `group ${model.group}: nothing is read from ${next} on, below ${index}`);
        model.take(next, batches);
        next += batches.length;
      }
      reading = false;
    };
    const reads = () => {
      model.endSeen(log.durableEnd);
      this.#spawn(read().catch((error: unknown) => this.#checkReadError(model, error)));
    };
    log.onDurable(reads);
    reads();
  }

  /** Reads from anywhere, and compares with what is known. */
  async read(model: GroupModel, log: GroupLog): Promise<void> {
    const { random, disk } = this.#world;
    const belowIndex = model.batches.length;
    const picked = model.batches[random.between(0, Math.max(belowIndex - 1, 0))];
    if (!picked) return;
    const maxBytes = random.skewed(1, 300_000);
    try {
      if (random.chance(0.25)) {
        const micros = picked.appendTimeMicros + random.between(-1, 1);
        const first = model.batches.find(({ appendTimeMicros }) => appendTimeMicros >= micros);
        const found = await log.findTime(micros, belowIndex);
        const expected = first ? first.index : belowIndex;
        must(
          first ? found.index === expected : found.index >= expected,
          `group ${model.group}: time ${micros} is found at ${found.index}, not ${expected}`,
        );
        disk.count("read by time");
        return;
      }
      const offset = picked.baseOffset + random.between(-1, picked.recordCount);
      const from = random.chance(0.5) ? { index: picked.index } : { offset: Math.max(offset, 0) };
      const request = { from, belowIndex, maxBytes };
      const expected = model.expectedRead(request);
      const read = await log.read(request);
      // The rest of a log that is removed meanwhile may be gone already.
      if (model.wasRemoved) expected.splice(read.length);
      model.checkSameBatches(read, expected, `a read from ${JSON.stringify(from)} below ${belowIndex}`);
      disk.count("index" in from ? "read by index" : "read by offset");
    } catch (error) {
      this.#checkReadError(model, error);
    }
  }

  #checkReadError(model: GroupModel, error: unknown): void {
    const wasRemoved = error instanceof TailraceError && error.reason === "stream_not_found";
    if (wasRemoved && (model.wasRemoved || model.stage === "gone")) return;
    throw error;
  }
}
