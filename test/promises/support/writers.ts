/**
 * Several producers that append to one stream, each as fast and as wrong as luck has it: several at once, out of order,
 * again, with a gap, in an old epoch; others that say nothing of who they are; and whoever sets the fence.
 * @module
 */
import type { ProducerStamp } from "../../../src/base/batch.ts";
import { TailraceError } from "../../../src/base/errors.ts";
import type { GroupLog } from "../../../src/log/types.ts";
import type { Tally } from "../../../src/sim/disk.ts";
import { must } from "../../../src/sim/must.ts";
import type { SimRandom } from "../../../src/sim/random.ts";
import type { Stream } from "../../../src/stream/types.ts";
import type { Call, History } from "./history.ts";
import { type Conditions, hex } from "./naive-log.ts";

/** Where appends go in one life. */
export interface Desk {
  readonly stream: Stream;
  readonly history: History;
  readonly random: SimRandom;
  readonly isAlive: () => boolean;
}

/** One that means well: it sends again what it has no answer for. */
interface Writer {
  readonly id: Uint8Array;
  epoch: number;
  next: number;
  /** Sequences below `next` that nobody said are there. */
  readonly open: Set<number>;
}

/** Rounds in which a writer gets all its batches in, when there is room. */
const catchUpRounds = 4;

/** All writers of a run: they outlive the node. */
export class Writers {
  readonly #writers: readonly Writer[];
  readonly #tally: Tally;
  readonly #underWay = new Set<Promise<void>>();
  #token: Uint8Array = new Uint8Array(0);
  #tokens = 0;
  #strangers = 0;
  #failure: unknown;
  /** So much time was let pass that the stream may have forgotten some. */
  mayBeForgotten = false;

  constructor(count: number, tally: Tally) {
    this.#tally = tally;
    this.#writers = Array.from({ length: count }, (_, at) => ({
      ...{ id: new Uint8Array(16).fill(at + 1), epoch: 0, next: 0 },
      open: new Set<number>(),
    }));
  }

  /** The first record: what a log has before its first record may go with any restart, and would not be read. */
  async begin(desk: Desk, log: GroupLog): Promise<void> {
    await this.#send(desk, {}, true);
    await desk.history.readOn(log);
  }

  /** Somebody does something. */
  act(desk: Desk): void {
    const { random } = desk;
    const [first, ...rest] = this.#writers;
    must(first !== undefined, "a run has a writer");
    const writer = random.pick([first, ...rest]);
    const any = () => random.between(0, writer.next - 1);
    const what = writer.next === 0 ? 0 : random.between(0, 99);
    if (what < 40) for (let left = random.skewed(1, 6); left > 0; left--) this.#goOn(desk, writer);
    else if (what < 60) void this.#sendAs(desk, writer, writer.epoch, any());
    else if (what < 65) void this.#sendAs(desk, writer, writer.epoch, writer.next + random.between(1, 3));
    else if (what < 70) this.#swap(desk, writer);
    else if (what < 75) this.#beginEpoch(desk, writer);
    else if (what < 80) void this.#sendAs(desk, writer, Math.max(writer.epoch - 1, 0), any());
    else if (what < 83) this.#stranger(desk);
    else void this.#send(desk, this.#offset(desk));
  }

  /** Somebody takes the stream over, or lets it go. */
  fence(desk: Desk): void {
    const { random, stream } = desk;
    this.#tokens += 1;
    const token = random.chance(0.3) ? new Uint8Array(0) : Uint8Array.of(this.#tokens >> 8, this.#tokens);
    this.#count("fence");
    this.spawn(
      desk,
      stream.fence(token).then(() => {
        this.#token = token;
      }),
    );
  }

  /** All that they have no answer for is sent again, in order; where there is room all of it gets in. */
  async catchUp(desk: Desk): Promise<void> {
    for (let round = 0; round < catchUpRounds && this.#writers.some(({ open }) => open.size > 0); round++) {
      this.#token = (await desk.stream.describe()).fence;
      const sent = this.#writers.map(async (writer) => {
        const { epoch } = writer;
        const sequences = [...writer.open].sort((a, b) => a - b);
        const calls = await Promise.all(sequences.map((sequence) => this.#sendAs(desk, writer, epoch, sequence, true)));
        this.#count("caught up");
        if (writer.epoch === epoch && calls.some(isOutOfPlace)) this.#startOver(writer);
      });
      await Promise.all(sent);
    }
  }

  /** Waits for what was asked. @throws {Error} Something went wrong that may not. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.checkFailure();
  }

  /** @throws {Error} Something went wrong that may not. */
  checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Keeps work in mind; it may be refused. */
  spawn({ isAlive }: Desk, work: Promise<unknown>): void {
    const watched = work
      .then(
        () => {},
        (error: unknown) => {
          if (!(error instanceof TailraceError) && isAlive()) this.#failure ??= error;
        },
      )
      .finally(() => this.#underWay.delete(watched));
    this.#underWay.add(watched);
  }

  /** The node is dead: nobody hears what it would have answered. */
  forsake(): void {
    this.#underWay.clear();
  }

  /** At the end: each batch of each writer's is in the log, once, in order. */
  checkAllThere({ log }: History): void {
    for (const { id, epoch, next, open } of this.#writers) {
      must(open.size === 0, `producer ${id[0]} has no answer for ${[...open]} of epoch ${epoch}`);
      if (this.mayBeForgotten) continue;
      const own = log.filter(({ producer }) => producer && hex(producer.id) === hex(id) && producer.epoch === epoch);
      const sequences = own.map(({ producer }) => producer?.sequence);
      const all = Array.from({ length: next }, (_, sequence) => sequence);
      must(`${sequences}` === `${all}`, `producer ${id[0]} sent ${next} batches, and there are ${sequences}`);
    }
  }

  #goOn(desk: Desk, writer: Writer): void {
    const sequence = writer.next;
    writer.next += 1;
    writer.open.add(sequence);
    void this.#sendAs(desk, writer, writer.epoch, sequence);
  }

  /** The later one overtakes. */
  #swap(desk: Desk, writer: Writer): void {
    const { epoch, next } = writer;
    writer.next += 2;
    for (const sequence of [next + 1, next]) {
      writer.open.add(sequence);
      void this.#sendAs(desk, writer, epoch, sequence);
    }
  }

  #beginEpoch(desk: Desk, writer: Writer): void {
    writer.epoch += 1;
    writer.next = 0;
    writer.open.clear();
    this.#goOn(desk, writer);
  }

  #startOver(writer: Writer): void {
    must(this.mayBeForgotten, `producer ${writer.id[0]} lost its place`);
    this.#count("forgotten");
    writer.epoch += 1;
    writer.next = 0;
    writer.open.clear();
  }

  #stranger(desk: Desk): void {
    this.#strangers += 1;
    const id = new Uint8Array(16).fill(200);
    id[0] = this.#strangers;
    void this.#send(desk, { producer: { id, epoch: desk.random.between(0, 2), sequence: desk.random.between(0, 2) } });
  }

  #offset({ random, stream }: Desk): Conditions {
    return random.chance(0.5) ? {} : { expectedOffset: stream.highWatermark + random.pick([0, 0, 0, 1, 3]) };
  }

  async #sendAs(desk: Desk, writer: Writer, epoch: number, sequence: number, isSure = false): Promise<Call> {
    const call = await this.#send(desk, { producer: { id: writer.id, epoch, sequence } }, isSure);
    const isThere = call.outcome !== undefined && "answer" in call.outcome;
    if (isThere && writer.epoch === epoch) writer.open.delete(sequence);
    return call;
  }

  /** `isSure`: with the token that is in force. */
  async #send(desk: Desk, more: { producer?: ProducerStamp; expectedOffset?: number }, isSure = false): Promise<Call> {
    const { history, stream, random, isAlive } = desk;
    const fence = !isSure && random.chance(0.05) ? Uint8Array.of(99) : this.#token;
    const conditions: Conditions = { ...more, ...(fence.length > 0 ? { fence } : {}) };
    const size = { records: random.between(1, 3), bytes: random.skewed(0, 6000) };
    const { call, payload } = history.begin(conditions, size);
    const appending = stream.append(payload, conditions).then(
      (answer) => {
        if (!isAlive()) return;
        call.outcome = { answer };
        this.#count(answer.duplicate ? (answer.startOffset === undefined ? "old duplicate" : "duplicate") : "taken");
      },
      (error: unknown) => {
        if (!isAlive()) return;
        if (!(error instanceof TailraceError)) {
          this.#failure ??= error;
          return;
        }
        call.outcome = { refusal: error };
        this.#count(error.reason);
      },
    );
    this.spawn(desk, appending);
    await appending;
    return call;
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1);
  }
}

/** It was answered that the first of all batches that the writer has no answer for can't come next. */
function isOutOfPlace({ outcome }: Call, at: number): boolean {
  if (at > 0 || outcome === undefined || "answer" in outcome) return false;
  return ["unknown_producer", "stale_epoch", "sequence_gap"].includes(outcome.refusal.reason);
}
