/**
 * Reads of a run: what is durable once is there for ever, unless it is cut off, and a read from anywhere gives what is
 * known.
 * @module
 */
import type { StoredBatch } from "../base/batch.ts";
import { sameBytes } from "../base/bytes.ts";
import { TailraceError } from "../base/errors.ts";
import { digestFollows } from "../log/batch-reader.ts";
import type { GroupLog } from "../log/types.ts";
import type { GroupModel } from "./log-model.ts";
import { type LifeContext, outcomeOf } from "./log-world.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";

/** Reads one log in one life. */
export class LogReads {
  readonly #model: GroupModel;
  readonly #log: GroupLog;
  readonly #life: LifeContext;
  #next: number;
  #isReading = false;
  /** What stands at `#next` is damaged: there is no reading on. */
  #isBlocked = false;
  /** Digests of what was read before it was durable. */
  readonly #ahead = new Map<number, Uint8Array>();
  #timesTakenBack = 0;
  /** Another reads in its place. */
  #isOver = false;

  constructor(model: GroupModel, log: GroupLog, life: LifeContext) {
    this.#model = model;
    this.#log = log;
    this.#life = life;
    this.#next = model.base;
  }

  /** Reads a log from its beginning, and on as it grows. */
  follow(): void {
    this.#log.onDurable(() => this.#durable());
    this.#log.onTakenBack(() => {
      this.#timesTakenBack += 1;
      this.#ahead.clear();
    });
    this.#durable();
  }

  /** Reads on after a change, from where the log may be another. */
  readOn(): void {
    this.#ahead.clear();
    this.#next = this.#model.end;
    this.#isBlocked = false;
    this.#durable();
  }

  /** What was damaged is mended: it reads on from there. */
  unblock(): void {
    this.#isBlocked = false;
    this.#durable();
  }

  /** Another reads this log from now on, and is told of its changes. */
  end(): void {
    this.#isOver = true;
  }

  /** Whether all is read that there is to read. */
  get isCaughtUp(): boolean {
    return this.#isBlocked || this.#model.end === this.#log.durableEnd.index;
  }

  #durable(): void {
    const model = this.#model;
    if (model.change || this.#isOver) return;
    if (!model.isSpoiled) model.endSeen(this.#log.durableEnd);
    if (!model.isFollower) this.commit(this.#log.durableEnd.index);
    this.#life.spawn(this.#read());
  }

  /** Tells the log what is committed. */
  commit(index: number): void {
    const [model, log] = [this.#model, this.#log];
    model.commit = Math.max(model.commit, index);
    // A damaged log may end before what was committed.
    log.setCommit(model.isSpoiled ? Math.min(model.commit, log.durableEnd.index) : model.commit);
  }

  /** While a log is changed nobody knows what there is to read. */
  get #isReadable(): boolean {
    const { stage, change } = this.#model;
    return (stage === "made" || stage === "making") && !change && !this.#isBlocked && !this.#isOver;
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#isReadable && this.#next < this.#log.durableEnd.index) await this.#readSome();
    } catch (error) {
      this.#isBlocked = this.#checkError(error) === "damaged";
    } finally {
      this.#isReading = false;
    }
  }

  async #readSome(): Promise<void> {
    const [model, log] = [this.#model, this.#log];
    const { index: belowIndex } = log.durableEnd;
    const { changes } = model;
    const from = { index: this.#next };
    const batches = await log.read({ from, belowIndex, maxBytes: this.#life.random.skewed(1, 100_000) });
    // A change began or was over: what was read is of the log before or after it.
    if (changes !== model.changes) {
      if (!model.change) this.#next = Math.min(this.#next, model.end);
      return;
    }
    must(batches.length > 0, `group ${model.group}: nothing is read from ${from.index} on, below ${belowIndex}`);
    model.take(from.index, batches);
    this.#checkAhead(batches);
    this.#next += batches.length;
  }

  /** Reads from anywhere, and compares with what is known. */
  async anywhere(random: SimRandom): Promise<void> {
    const model = this.#model;
    if (model.count === 0 || model.change) return;
    try {
      const what = random.fraction();
      if (what < 0.1) await this.#byTerms(random);
      else if (what < 0.2) await this.#byTime(random);
      else if (what < 0.4) await this.#byHeaders(random);
      else await this.#byPlace(random);
    } catch (error) {
      this.#checkError(error);
    }
  }

  /** Reads what is on its way to the disk, too: it goes on from what is durable, and becomes that, or is taken back. */
  async ahead(random: SimRandom): Promise<void> {
    const [model, log] = [this.#model, this.#log];
    if (model.change || this.#isOver || model.stage !== "made") return;
    const { changes } = model;
    const taken = this.#timesTakenBack;
    const from = { index: random.between(Math.min(model.end, log.end.index), log.end.index) };
    const request = { from, belowIndex: log.end.index, maxBytes: random.skewed(1, 100_000), unsynced: true };
    try {
      const read = await log.read(request);
      // Of a folder that failed nobody knows what is on its way.
      if (changes !== model.changes || taken !== this.#timesTakenBack || this.#life.hasFailed()) return;
      must(
        from.index === request.belowIndex || read.length > 0,
        `group ${model.group}: nothing is ahead of ${from.index}`,
      );
      let next = from.index;
      for (const batch of read) {
        must(batch.index === next, `group ${model.group}: batch ${batch.index} is ahead, where ${next} is due`);
        const before = this.#ahead.get(next - 1) ?? model.batchAt(next - 1)?.digest;
        const follows = !before || digestFollows(batch, before, this.#life.world.hash);
        must(follows, `group ${model.group}: batch ${next} is ahead, and does not follow`);
        this.#ahead.set(next, batch.digest.slice());
        next += 1;
      }
      this.#life.world.disk.count("read ahead");
      await this.#factsAhead(request.belowIndex - 1);
    } catch (error) {
      this.#checkError(error);
    }
  }

  /** What is said of a batch by its index is what was read there. */
  async #factsAhead(index: number): Promise<void> {
    const [model, log] = [this.#model, this.#log];
    const digest = this.#ahead.get(index);
    const { changes } = model;
    const taken = this.#timesTakenBack;
    const said = await log.digestAt(index);
    if (!digest || changes !== model.changes || taken !== this.#timesTakenBack) return;
    must(said !== undefined && sameBytes(said, digest), `group ${model.group}: another digest is said of ${index}`);
  }

  /** What was read ahead is what became durable. */
  #checkAhead(batches: readonly StoredBatch[]): void {
    for (const { index, digest } of batches) {
      const ahead = this.#ahead.get(index);
      this.#ahead.delete(index);
      must(!ahead || sameBytes(ahead, digest), `group ${this.#model.group}: batch ${index} was read ahead as another`);
    }
  }

  async #byTerms(random: SimRandom): Promise<void> {
    const model = this.#model;
    const { end, changes, batches } = model;
    const index = random.between(model.base, end - 1);
    const [term, digest, starts] = [
      await this.#log.termAt(index),
      await this.#log.digestAt(index),
      await this.#log.termStarts(),
    ];
    // A damaged log may end before what was read of it.
    if (changes !== model.changes || model.isSpoiled) return;
    const known = model.batchAt(index);
    const isSame =
      known !== undefined && term === known.term && digest !== undefined && sameBytes(digest, known.digest);
    must(isSame, `group ${model.group}: of batch ${index} another term or digest is said`);
    const expected = batches.filter((batch, at) => at === 0 || batch.term !== batches[at - 1]?.term);
    const text = (all: readonly { term: number; index: number }[]) =>
      all.map((start) => `${start.term} from ${start.index}`).join(", ");
    const [said, due] = [text(starts.filter((start) => start.index < end)), text(expected)];
    must(said === due, `group ${model.group}: its terms are said to be ${said}, and are ${due}`);
    this.#life.world.disk.count("read by terms");
  }

  async #byTime(random: SimRandom): Promise<void> {
    const model = this.#model;
    const { end: belowIndex, changes } = model;
    const batches = model.batches;
    const micros = (batches[random.between(0, batches.length - 1)]?.appendTimeMicros ?? 0) + random.between(-1, 1);
    const first = batches.find(({ appendTimeMicros }) => appendTimeMicros >= micros);
    const found = await this.#log.findTime(micros, belowIndex);
    // Where there is none it says where the committed part ends, which moves.
    if (changes !== model.changes || (!first && model.isFollower)) return;
    const expected = first ? first.index : belowIndex;
    must(
      first ? found.index === expected : found.index >= expected,
      `group ${model.group}: time ${micros} is found at ${found.index}, not ${expected}`,
    );
    this.#life.world.disk.count("read by time");
  }

  async #byHeaders(random: SimRandom): Promise<void> {
    const model = this.#model;
    const { end, changes } = model;
    let next = random.between(model.base, end - 1);
    for await (const { index, digest } of this.#log.headers(next)) {
      if (changes !== model.changes || index >= end) break;
      const known = model.batchAt(next);
      must(
        index === next && known !== undefined && sameBytes(known.digest, digest),
        `group ${model.group}: the header at ${next} is another`,
      );
      next += 1;
    }
    const isWhole = next === end || changes !== model.changes || model.wasRemoved || model.isSpoiled;
    must(isWhole, `group ${model.group}: headers end at ${next}, not at ${end}`);
    this.#life.world.disk.count("read by headers");
  }

  async #byPlace(random: SimRandom): Promise<void> {
    const model = this.#model;
    const { end: belowIndex, changes } = model;
    const picked = model.batchAt(random.between(model.base, belowIndex - 1));
    must(picked !== undefined, `group ${model.group}: a known batch is not known`);
    const offset = picked.baseOffset + random.between(-1, picked.recordCount);
    const from = random.chance(0.5) ? { index: picked.index } : { offset: Math.max(offset, 0) };
    const request = { from, belowIndex, maxBytes: random.skewed(1, 300_000) };
    const expected = model.expectedRead(request);
    const read = await this.#log.read(request);
    if (changes !== model.changes) return;
    // The rest of a log that is removed meanwhile may be gone already, and a damaged one is read up to the damage.
    const mayBeShort = model.wasRemoved || this.#log.damage !== undefined || (model.isSpoiled && read.length > 0);
    if (mayBeShort) expected.splice(read.length);
    model.checkSameBatches(read, expected, `a read from ${JSON.stringify(from)} below ${belowIndex}`);
    this.#life.world.disk.count("index" in from ? "read by index" : "read by offset");
  }

  #checkError(error: unknown): "damaged" | "over" {
    const model = this.#model;
    const wasRemoved = error instanceof TailraceError && error.reason === "stream_not_found";
    if (wasRemoved && (model.wasRemoved || model.stage === "gone")) return "over";
    // A change may fail under a reading, and so may the disk.
    const outcome = outcomeOf(error, `reading group ${model.group}`, this.#life, model);
    if (outcome === "damaged") this.#life.world.disk.count("damage: a read is refused");
    return outcome === "damaged" ? "damaged" : "over";
  }
}
