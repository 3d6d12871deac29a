/**
 * One run: some lives of a node's streams on the simulated disk, with several producers, from one seed.
 * @module
 */
import { systemHash } from "../../../src/host/hash.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import type { LogOptions } from "../../../src/log/settings.ts";
import type { DataFolder } from "../../../src/log/types.ts";
import { SimDisk, type Tally } from "../../../src/sim/disk.ts";
import { must } from "../../../src/sim/must.ts";
import { SimRandom } from "../../../src/sim/random.ts";
import { passTime, SimClock, Timeline } from "../../../src/sim/timeline.ts";
import type { Stream } from "../../../src/stream/types.ts";
import { streamsOf } from "../../support/streams.ts";
import { History } from "./history.ts";
import { Writers } from "./writers.ts";

const kibibyte = 1 << 10;
const volumeBytes = 1 << 26;
const folderPath = "/data";
const settings = { segmentMaxBytes: 1 << 20, segmentMaxAgeS: 60 };

/** What became of a run. */
export interface ProducerRun {
  readonly failure: Error | undefined;
  readonly tally: Tally;
}

/** Runs one seed. The same seed gives the same run. */
export async function runProducers(seed: number, trace?: (line: string) => void): Promise<ProducerRun> {
  const tally: Tally = new Map();
  const run = new Run(seed, tally, trace);
  try {
    await run.live();
    return { failure: undefined, tally };
  } catch (error) {
    return { failure: error instanceof Error ? error : new Error(String(error)), tally };
  }
}

type LifeEnd = "closed" | "dead";

class Run {
  readonly #seed: number;
  readonly #random: SimRandom;
  readonly #disk: SimDisk;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #settings: LogOptions;
  readonly #lives: number;
  /** Whether clocks are let go so far that producers are forgotten. */
  readonly #isLong: boolean;
  readonly #writers: Writers;
  #history = new History();
  #streamId: number | undefined;
  #wallOffsetMicros = 1_800_000_000_000_000;

  constructor(seed: number, tally: Tally, trace: ((line: string) => void) | undefined) {
    const random = SimRandom.of(seed);
    const timeline = new Timeline();
    this.#seed = seed;
    this.#random = random;
    this.#trace = trace;
    this.#disk = new SimDisk({ timeline, random: SimRandom.of(seed, 0), totalBytes: volumeBytes, tally });
    this.#disk.trace = trace;
    this.#lives = random.between(2, 5);
    this.#isLong = random.chance(0.2);
    this.#settings = {
      ...{ journalUnitBytes: 64 * kibibyte, journalFileBytes: 64 * kibibyte, journalFiles: random.between(2, 4) },
      ...{ tailMaxBytes: random.pick([2 * kibibyte, 1 << 21]), markDelayMs: random.pick([1, 100]) },
      freeSpaceReserve: random.pick([0, 0.01]),
    };
    this.#writers = new Writers(random.between(1, 4), tally);
  }

  async live(): Promise<void> {
    const random = this.#random;
    for (let number = 1; number <= this.#lives; number++) {
      const kind = random.pick(["close", "kill", "kill", "power cut", "power cut"] as const);
      await this.#life(number, { kind, atCall: random.skewed(5, 500), steps: random.between(5, 80) });
      if (kind !== "power cut" && random.chance(0.2)) this.#disk.powerCut();
    }
    const end = await this.#life(this.#lives + 1, { kind: "close", atCall: 0, steps: 0 });
    must(end === "closed", "the last life ends by itself");
    this.#history.check();
    this.#writers.checkAllThere(this.#history);
  }

  async #life(number: number, ending: { kind: "close" | "kill" | "power cut"; atCall: number; steps: number }) {
    const disk = this.#disk;
    const random = SimRandom.of(this.#seed, number, 2);
    disk.random = SimRandom.of(this.#seed, number, 1);
    disk.totalBytes = volumeBytes;
    const process = disk.attach();
    const clock = new SimClock(disk.timeline, () => process.isAlive);
    clock.wallOffsetMicros = this.#wallOffsetMicros;
    this.#trace?.(`=== life ${number}: ${ending.kind} at call ${ending.atCall}`);
    let end: (end: LifeEnd) => void = () => {};
    const over = new Promise<LifeEnd>((resolve) => {
      end = resolve;
    });
    const die = () => {
      if (!process.isAlive) return;
      this.#trace?.(`--- ${ending.kind}`);
      disk.count(`life ended by ${ending.kind}`);
      if (ending.kind === "power cut") disk.powerCut();
      else process.kill();
      end("dead");
    };
    let calls = 0;
    process.onCall = () => {
      calls += 1;
      if (ending.kind !== "close" && calls === ending.atCall) disk.timeline.after(0, die);
    };
    const lived = this.#lived({ process, clock, random, steps: ending.steps }).then(
      () => {
        if (!process.isAlive) return;
        disk.count("life ended by close");
        process.kill();
        end("closed");
      },
      (error: unknown) => {
        // What the dead see is nobody's.
        if (process.isAlive) throw error;
      },
    );
    const ended = await passTime(disk.timeline, Promise.race([over, lived.then(() => over)]));
    this.#wallOffsetMicros = clock.wallOffsetMicros;
    this.#writers.forsake();
    return ended;
  }

  async #lived(life: {
    process: ReturnType<SimDisk["attach"]>;
    clock: SimClock;
    random: SimRandom;
    steps: number;
  }): Promise<void> {
    const { process, clock, random, steps } = life;
    const folder = await openDataFolder({
      ...{ path: folderPath, disk: process, clock, hash: systemHash, settings: this.#settings },
      random: SimRandom.of(this.#seed, 3),
    });
    const streams = await streamsOf(folder, { clock });
    const { stream } = await streams.create("s", settings);
    const history = await this.#historyOf(folder, stream);
    const sleep = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
    const writers = this.#writers;
    const desk = { stream, history, random, isAlive: () => process.isAlive };
    const log = folder.log(stream.id);
    must(log !== undefined, "the stream has its log");
    if (history.nextOffset === 0) await writers.begin(desk, log);
    await writers.catchUp(desk);
    writers.checkFailure();
    for (let step = 0; step < steps; step++) {
      await this.#step({ ...life, folder }, desk);
      writers.checkFailure();
      if (random.chance(0.4)) await sleep(random.skewed(0, 30));
    }
    this.#disk.totalBytes = volumeBytes;
    // Appends have room again when the node has looked.
    await sleep(1000);
    await writers.settled();
    await writers.catchUp(desk);
    await history.readOn(log);
    streams.stop();
    await folder.close();
  }

  async #historyOf(folder: DataFolder, stream: Stream): Promise<History> {
    if (this.#streamId !== stream.id) {
      must(this.#history.log.length === 0, "the stream is gone, and another one has its name");
      this.#history = new History();
      this.#streamId = stream.id;
    }
    const log = folder.log(stream.id);
    must(log !== undefined, "the stream has its log");
    await this.#history.startOver(log);
    return this.#history;
  }

  async #step(
    { clock, random, folder }: { clock: SimClock; random: SimRandom; folder: DataFolder },
    desk: Parameters<Writers["act"]>[0],
  ): Promise<void> {
    const disk = this.#disk;
    const { stream, history } = desk;
    const what = random.between(0, 99);
    if (what < 78) this.#writers.act(desk);
    else if (what < 82) clock.wallOffsetMicros += 61e6;
    else if (what < 84 && this.#isLong) {
      clock.wallOffsetMicros += 8 * 86_400e6;
      this.#writers.mayBeForgotten = true;
    } else if (what < 86) this.#writers.fence(desk);
    else if (what < 88) {
      const log = folder.log(stream.id);
      if (log) await history.readOn(log);
      // A checkpoint at or below the offset is behind no batch that was not read.
      const offset = random.between(0, history.nextOffset) - 1;
      if (offset >= 0) this.#writers.spawn(desk, stream.trim(offset));
      disk.count("trim");
    } else if (what < 89) {
      const { totalBytes, freeBytes } = disk.space;
      disk.totalBytes = totalBytes - freeBytes;
    } else if (what < 93) disk.totalBytes = volumeBytes;
    else if (what < 97) await this.#writers.settled();
    else await this.#writers.catchUp(desk);
  }
}
