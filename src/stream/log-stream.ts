/**
 * One stream of this node, over its log: appending, reading, telling of it.
 * Elsewhere: which records of which batches (`slices.ts`), its changes (`stream-changes.ts`), its log's beginning and end
 * (`stream-log.ts`), which streams there are (`streams.ts`).
 * @module
 */

import { TailraceError } from "../base/errors.ts";
import type { StreamSettings, VersionedSettings } from "../base/stream-settings.ts";
import { belowLogStart, pastEnd } from "./refusals.ts";
import type { RetainedStream } from "./retention-rounds.ts";
import { readSlices } from "./slices.ts";
import { StreamAppends } from "./stream-appends.ts";
import { StreamChanges } from "./stream-changes.ts";
import type { StreamLog } from "./stream-log.ts";
import type {
  AppendAnswer,
  AppendOptions,
  ReadRequest,
  ReadResult,
  Receipt,
  Start,
  Stream,
  StreamDescription,
} from "./types.ts";

type DescribedTimes = Required<Pick<StreamDescription, "firstAppendTimeMicros" | "lastAppendTimeMicros">>;

/** The log of a stream before it is made. */
const nothing = { index: 0, digest: new Uint8Array(32) };

export class LogStream implements Stream, RetainedStream {
  readonly log: StreamLog;
  readonly #appends: StreamAppends;
  readonly #changes: StreamChanges;

  constructor(log: StreamLog) {
    this.log = log;
    this.#appends = new StreamAppends(log);
    this.#changes = new StreamChanges(log);
  }

  get name(): string {
    return this.log.name;
  }

  get id(): number {
    return this.log.stored.id;
  }

  get settings(): VersionedSettings {
    return this.log.state.part.settings;
  }

  get logStart(): number {
    return this.log.logStart;
  }

  get highWatermark(): number {
    return this.log.highWatermark;
  }

  get deleted(): boolean {
    return this.log.isDeleted;
  }

  get lagMs(): number | undefined {
    const { door } = this.log;
    return door === undefined ? 0 : door.lagMs;
  }

  ready(): Promise<void> {
    return this.log.ready();
  }

  async confirm(): Promise<void> {
    await this.log.ready();
    await this.log.door?.confirm();
    await this.log.ready();
  }

  append(payload: Uint8Array, options?: AppendOptions & { readonly producer?: undefined }): Promise<Receipt>;
  append(payload: Uint8Array, options: AppendOptions): Promise<AppendAnswer>;
  append(payload: Uint8Array, options: AppendOptions = {}): Promise<AppendAnswer> {
    return this.#appends.append(payload, options);
  }

  fence(token: Uint8Array): Promise<number> {
    return this.#changes.fence(token);
  }

  trim(offset: number): Promise<number> {
    return this.#changes.trim(offset);
  }

  update(given: Partial<StreamSettings>, expectedVersion?: number): Promise<void> {
    return this.#changes.update(given, expectedVersion);
  }

  get isKnown(): boolean {
    return this.log.isKnown;
  }

  get isLedElsewhere(): boolean {
    return this.log.door?.leadership.kind === "elsewhere";
  }

  isRetentionDue(nowMicros: number): boolean {
    return this.log.retention.isDue(nowMicros);
  }

  recount(): void {
    if (!this.log.isDeleted) this.log.recount();
  }

  retain(nowMicros: number): Promise<void> {
    return this.#changes.retain(nowMicros);
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const baseIndex = this.log.door?.baseIndex;
    await this.log.ready();
    await this.#checkBegin(request.startOffset);
    return this.#read(request, baseIndex);
  }

  async resolve(start: Start): Promise<number> {
    await this.log.ready();
    switch (start.at) {
      case "earliest":
        return this.logStart;
      case "latest":
        return this.highWatermark;
      case "before_end":
        return Math.max(this.logStart, this.highWatermark - start.count);
      case "offset":
        await this.#checkBegin(start.offset);
        return start.offset;
      case "time": {
        const { door } = this.log;
        if (door === undefined) return this.logStart;
        const { offset } = await this.log.unlessDeleted(door.findTime(start.micros));
        return Math.max(this.logStart, offset);
      }
    }
  }

  watch(listener: () => void): () => void {
    return this.log.watchers.add(listener);
  }

  async describe(): Promise<StreamDescription> {
    const { log } = this;
    await log.ready();
    const committed = (await log.door?.committed()) ?? nothing;
    const { logStart, highWatermark } = this;
    const storedBytes = log.door?.storedBytes ?? 0;
    let times: Partial<DescribedTimes> = {};
    if (highWatermark > logStart) {
      try {
        times = await this.#appendTimes(logStart, highWatermark);
      } catch (error) {
        // Trimmed meanwhile: it is another description now.
        await log.ready();
        if (this.logStart > logStart) return await this.describe();
        // A damaged stream is described as far as it can be.
        if (!(error instanceof TailraceError && error.reason === "damaged")) throw error;
      }
    }
    return {
      name: this.name,
      id: this.id,
      createdMicros: log.stored.createdMicros,
      settings: this.settings,
      logStart,
      highWatermark,
      ...times,
      storedBytes,
      digest: committed.digest,
      nextIndex: committed.index,
      state: this.#state(),
      fence: log.state.part.fence,
    };
  }

  #state(): StreamDescription["state"] {
    if (this.log.isDeleting || this.log.isDeleted) return "deleting";
    return this.log.door?.isDamaged ? "read_only" : "normal";
  }

  /** @param baseIndex Where the log's files began before it was asked where the stream begins. */
  async #read(request: ReadRequest, baseIndex: number | undefined): Promise<ReadResult> {
    const { door } = this.log;
    if (door === undefined) return { batches: [], nextOffset: request.startOffset };
    try {
      return await this.log.unlessDeleted(readSlices(door, request));
    } finally {
      // What was below log start may have gone in the middle: then neither what was read counts nor what went wrong.
      // Who does not lead looks what the trim said that let it go.
      if (door.baseIndex !== baseIndex) await this.log.ready();
      if (request.startOffset < this.logStart && !this.deleted) this.#checkOffset(request.startOffset);
    }
  }

  async #appendTimes(logStart: number, highWatermark: number): Promise<DescribedTimes> {
    const { times } = this.log;
    const firstAppendTimeMicros = await times.of(logStart);
    return { firstAppendTimeMicros, lastAppendTimeMicros: await times.of(highWatermark - 1) };
  }

  /** That nothing is at an offset is said by a leader that knows. */
  async #checkBegin(offset: number): Promise<void> {
    if (offset > this.highWatermark) await this.confirm();
    this.#checkOffset(offset);
  }

  #checkOffset(offset: number): void {
    const { logStart, highWatermark } = this;
    if (offset < logStart) throw belowLogStart(this.name, offset, { logStart, nextOffset: highWatermark });
    if (offset > highWatermark) throw pastEnd(this.name, offset, { logStart, nextOffset: highWatermark });
  }
}
