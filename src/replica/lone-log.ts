/**
 * One log of a node that is its only voter: what is durable is committed.
 * - After a start nothing is lost: all that was recovered is committed at once.
 * - A group takes a new term with its first append after a start: the leader change goes before that append, in one
 *   write with it (B16). So a start writes nothing for the thousands of groups that nobody appends to.
 * - Appends wait here until that leader change is durable, except those that came before it was sent: else a refused
 *   leader change could be followed by batches of a term that this replica does not lead.
 * Elsewhere: the past of a log that is led (`log-past.ts`), the door itself (`log-door.ts`).
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { limitPassed, type TailraceError } from "../base/errors.ts";
import { limitName } from "../base/limits.ts";
import type { Slots } from "../base/slots.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { GroupLog } from "../log/types.ts";
import { encodeCheckpoint, encodeLeaderChange } from "../wire/checkpoint.ts";
import type {
  AppendedBatch,
  Leadership,
  LogBatch,
  LogDoor,
  LogOwner,
  LogReadRequest,
  SegmentSize,
  StreamPart,
} from "./log-door.ts";
import { decodeStoredCheckpoint, type LogPast, readPast, recallProducers, segmentLimitsOf } from "./log-past.ts";

/** What the logs of one node share. */
export interface LoneNode {
  readonly diskId: Uint8Array;
  readonly waitingMaxBytes: number;
  /** Logs whose past is read at once: after a start a crowd may ask, each for another one. */
  readonly pasts: Slots;
  /** Bytes of appends that wait for a leader change, all groups. */
  waitingBytes: number;
}

/** How far a log is on its way to appending. */
type Phase =
  /** Nobody appended since the start. */
  | "asleep"
  /** Its past is being read: the next checkpoint has to tell of it. */
  | "preparing"
  /** What it says of its stream is known; nobody appended. */
  | "read"
  /** Its producers are being read, which only appends need. */
  | "recalling"
  /** The next append takes a new term. */
  | "prepared"
  /** The leader change is on its way. */
  | "beginning"
  /** This node leads; appends go straight to the log. */
  | "leading"
  /** Its past is not one that this version can carry on: it is only read. */
  | "barred"
  /** Its making was refused: there is no such log. */
  | "unmade";

const leadsAlways: Leadership = { kind: "here" };

interface WaitingAppend {
  readonly batch: LogBatch;
  readonly resolve: (appended: Promise<AppendedBatch>) => void;
  readonly reject: (reason: unknown) => void;
}

export class LoneLog implements LogDoor {
  readonly #log: GroupLog;
  readonly #owner: LogOwner;
  readonly #node: LoneNode;
  #phase: Phase = "asleep";
  #past: LogPast | undefined;
  #preparing: Promise<void> | undefined;
  /** Why it is barred. */
  #refusal: TailraceError | undefined;
  #waiting: WaitingAppend[] = [];
  /** Of a log that was made since the start: settles with its making. */
  readonly #made: Promise<void> | undefined;

  constructor(log: GroupLog, owner: LogOwner, node: LoneNode, birth?: { past: LogPast; made: Promise<void> }) {
    this.#log = log;
    this.#owner = owner;
    this.#node = node;
    this.#made = birth?.made;
    if (birth !== undefined) this.#takePast(birth.past, "prepared");
    log.setCommit(log.durableEnd.index);
    log.onDurable(() => log.setCommit(log.durableEnd.index));
  }

  get group(): number {
    return this.#log.group;
  }

  get leadership(): Leadership {
    return leadsAlways;
  }

  want(): void {}

  get lagMs(): number {
    return 0;
  }

  get commit(): { readonly index: number; readonly offset: number } {
    return this.#log.durableEnd;
  }

  async committed(): Promise<{ index: number; digest: Uint8Array }> {
    return this.#log.durableEnd;
  }

  /** What a place was given to before this is asked is durable, or its append is waited for. */
  async settled(): Promise<void> {}

  /** There is nobody else who could have acknowledged anything. */
  async confirm(): Promise<void> {}

  get storedBytes(): number {
    return this.#log.storedBytes;
  }

  get isIncomplete(): boolean {
    return false;
  }

  get isDamaged(): boolean {
    return this.#log.damage !== undefined;
  }

  append(batch: LogBatch): Promise<AppendedBatch> {
    if (this.#phase === "leading") return this.#log.append(batch);
    return new Promise((resolve, reject) => {
      const { waitingBytes, waitingMaxBytes } = this.#node;
      if (waitingBytes + batch.payload.length > waitingMaxBytes) {
        const limit = { name: limitName("appendQueueMaxBytes"), value: waitingMaxBytes };
        const todo = "Wait until earlier appends are answered, then send it again";
        reject(limitPassed("Cannot take the append now", limit, todo, { fate: "nothing_written" }));
        return;
      }
      this.#node.waitingBytes += batch.payload.length;
      this.#waiting.push({ batch, resolve, reject });
      this.#advance();
    });
  }

  read(request: LogReadRequest): Promise<StoredBatch[]> {
    return this.#log.read(request);
  }

  findTime(micros: number): Promise<{ index: number; offset: number }> {
    return this.#log.findTime(micros, this.commit.index);
  }

  ready(): Promise<void> | undefined {
    if (this.#phase === "asleep") this.#prepare();
    return this.#preparing;
  }

  endSegmentsBy(settings: VersionedSettings): void {
    const past = this.#past;
    if (past === undefined) return;
    past.limits = segmentLimitsOf(settings);
    this.#roll(past);
  }

  get baseIndex(): number {
    return this.#log.base.index;
  }

  baseIndexFor(logStart: number): Promise<number> {
    return this.#log.segmentBelow(logStart);
  }

  segmentSizes(): SegmentSize[] {
    return this.#log.segmentSizes();
  }

  dropBefore(baseIndex: number): Promise<void> {
    return this.#log.dropBefore(baseIndex);
  }

  async lastCheckpoint(): Promise<{ index: number; offset: number; part: StreamPart }> {
    const batch = await this.#log.lastCheckpoint();
    return { index: batch.index, offset: batch.baseOffset, part: decodeStoredCheckpoint(batch) };
  }

  onCommit(listener: () => void): () => void {
    return this.#log.onCommit(listener);
  }

  #advance(): void {
    if (this.#waiting.length === 0) return;
    switch (this.#phase) {
      case "asleep":
        this.#prepare();
        return;
      case "preparing":
      case "recalling":
      case "beginning":
        return;
      case "read":
        this.#recall();
        return;
      case "prepared":
        this.#begin();
        return;
      case "leading":
        this.#release();
        return;
      case "barred":
        for (const { reject } of this.#takeWaiting()) reject(this.#refusal);
        return;
      case "unmade":
        for (const { reject } of this.#takeWaiting()) reject(new NoRoomError("The making of the log was refused"));
        return;
    }
  }

  #prepare(): void {
    this.#phase = "preparing";
    this.#preparing = this.#readPast().finally(() => {
      this.#preparing = undefined;
      this.#advance();
    });
    // Who appends is told below; who reads waits for it.
    this.#preparing.catch(() => {});
  }

  async #readPast(): Promise<void> {
    const { pasts } = this.#node;
    await pasts.acquire();
    try {
      const { part, past } = await readPast(this.#log, this.#node.diskId);
      if (part !== undefined) {
        this.#owner.restored(part);
        await this.#dropLeftovers(part.logStart);
      }
      if ("self" in past) this.#takePast(past, "read");
      else this.#bar(past);
    } catch (error) {
      this.#phase = "asleep";
      for (const { reject } of this.#takeWaiting()) reject(error);
      throw error;
    } finally {
      pasts.release();
    }
  }

  #recall(): void {
    this.#phase = "recalling";
    this.#recallProducers().then(
      () => {
        this.#phase = "prepared";
        this.#advance();
      },
      (error: unknown) => {
        this.#phase = "read";
        for (const { reject } of this.#takeWaiting()) reject(error);
      },
    );
  }

  async #recallProducers(): Promise<void> {
    const { pasts } = this.#node;
    await pasts.acquire();
    try {
      await recallProducers(this.#log, this.#owner);
    } finally {
      pasts.release();
    }
  }

  #bar(refusal: TailraceError): void {
    this.#refusal = refusal;
    this.#phase = "barred";
  }

  /** A kill between a trim and what it asks of the files leaves them; so does want of room, which may last. */
  async #dropLeftovers(logStart: number): Promise<void> {
    if (this.#log.damage !== undefined) return;
    try {
      const baseIndex = await this.#log.segmentBelow(logStart);
      if (baseIndex > this.#log.base.index) await this.#log.dropBefore(baseIndex);
    } catch (error) {
      if (!(error instanceof NoRoomError)) throw error;
    }
  }

  #takePast(past: LogPast, phase: "read" | "prepared"): void {
    this.#past = past;
    this.#phase = phase;
    this.#roll(past);
  }

  #roll(past: LogPast): void {
    this.#log.rollBy(past.limits, (index, logTimeMicros) => {
      const baseIndex = this.#log.base.index;
      past.termStarts = past.termStarts.filter((start) => start.index < index && start.index >= baseIndex);
      const { voters, termStarts } = past;
      return encodeCheckpoint({ ...this.#owner.checkpointPart(index, logTimeMicros), voters, termStarts });
    });
  }

  /** Sends the leader change, and behind it, so that they share its write, all that waits. */
  #begin(): void {
    const past = this.#past;
    if (past === undefined) return;
    this.#phase = "beginning";
    const term = Math.max(this.#log.vote.term, this.#log.durableEnd.term) + 1;
    const change = this.#log.append({
      kind: BatchKind.leaderChange,
      payload: encodeLeaderChange(past.self),
      recordCount: 0,
      frees: this.#waiting.some(({ batch }) => batch.frees === true),
      begins: { term, votedFor: past.self },
      stamped: (index) => past.termStarts.push({ term, index }),
    });
    this.#release();
    change.then(
      () => {
        this.#phase = "leading";
        this.#advance();
      },
      async () => {
        // Who was sent behind it was refused with it. The next one tries again.
        past.termStarts = past.termStarts.filter((start) => start.term !== term);
        this.#phase = await this.#phaseAfterRefusal();
        this.#advance();
      },
    );
  }

  /** A log whose making was refused, too, takes nothing ever: what it took would belong to no log at the next start. */
  async #phaseAfterRefusal(): Promise<Phase> {
    try {
      await this.#made;
      return "prepared";
    } catch {
      return "unmade";
    }
  }

  #release(): void {
    for (const { batch, resolve } of this.#takeWaiting()) resolve(this.#log.append(batch));
  }

  #takeWaiting(): WaitingAppend[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { batch } of waiting) this.#node.waitingBytes -= batch.payload.length;
    return waiting;
  }
}
