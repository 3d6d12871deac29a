/**
 * What a node does for the clients of one stream: the code that serves streams (`stream/`), on the log of a cluster
 * (`replica/cluster-log.ts`).
 * @module
 */
import type { ProducerStamp } from "../../base/batch.ts";
import { TailraceError } from "../../base/errors.ts";
import { defaultLimits } from "../../base/limits.ts";
import { eachRecord, recordValue } from "../../base/records.ts";
import { RecordsWriter } from "../../base/records-writer.ts";
import { ClusterLog } from "../../replica/cluster-log.ts";
import { hexOf } from "../../replica/core-batch.ts";
import { emptyPart, type LogDoors } from "../../replica/log-door.ts";
import { ClosedError, NotLeaderError } from "../../replica/replica-errors.ts";
import type { ReplicaGroup } from "../../replica/replica-group.ts";
import { LogStream } from "../../stream/log-stream.ts";
import { builtInSettings } from "../../stream/settings.ts";
import { type StreamHome, StreamLog } from "../../stream/stream-log.ts";
import type { AppendAnswer as StreamAnswer } from "../../stream/types.ts";
import { Usage } from "../../stream/usage.ts";
import type { World } from "./world.ts";

/** What a client asks for. */
export interface AppendRequest {
  readonly value: string;
  readonly count: number;
  readonly producer?: ProducerStamp;
  readonly expectedOffset?: number;
}

/** What it is told. */
export type AppendAnswer =
  | { readonly kind: "ok"; readonly appended: Receipt }
  | { readonly kind: "duplicate"; readonly first: { readonly index: number; readonly baseOffset: number } | undefined }
  | { readonly kind: "offset"; readonly nextOffset: number }
  | { readonly kind: "producer"; readonly epoch: number; readonly sequence: number }
  /** The stream is deleted. */
  | { readonly kind: "closed" };

/** Where an append stands. */
export interface Receipt {
  readonly index: number;
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly digest: Uint8Array;
}

/** What a read is answered with. */
export interface ReadAnswer {
  readonly batches: readonly { index: number; baseOffset: number; count: number; value: string; digest: string }[];
  readonly highWatermark: number;
  readonly isLimited: boolean;
}

/** Settings of all streams of a run. */
export function settingsOf({ plan }: Pick<World, "plan">) {
  return { ...builtInSettings, version: 1, segmentMaxBytes: plan.segmentBytes };
}

/** One stream on one node. */
export class SimStream {
  readonly #replica: ReplicaGroup;
  readonly #door: ClusterLog;
  readonly #stream: LogStream;
  readonly #waiting = new Set<() => void>();

  constructor(world: World, replica: ReplicaGroup) {
    this.#replica = replica;
    const part = { ...emptyPart, name: "s", settings: settingsOf(world) };
    const creation = { name: "s", startOffset: 0, checkpoint: new Uint8Array(0) };
    const stored = { id: replica.group, createdMicros: 0, creation, nodes: [], isDeleting: false };
    const log = new StreamLog(stored, part, homeOfOne());
    this.#door = new ClusterLog(replica, log);
    log.attach(this.#door);
    this.#stream = new LogStream(log);
    replica.log.onCommit(() => this.#wake());
  }

  async append({ value, count, producer, expectedOffset }: AppendRequest): Promise<AppendAnswer> {
    const payload = payloadOf(value, count);
    const conditions = {
      ...(producer ? { producer } : {}),
      ...(expectedOffset === undefined ? {} : { expectedOffset }),
    };
    try {
      return answerOf(await this.#stream.append(payload, conditions));
    } catch (error) {
      if (error instanceof ClosedError) {
        await this.#until(() => this.#door.commit.index >= error.end);
        return { kind: "closed" };
      }
      const { reason, facts } = error instanceof TailraceError ? error : { reason: "", facts: {} };
      if (facts.producer) return { kind: "producer", epoch: facts.producer.epoch, sequence: facts.producer.sequence };
      if (reason === "offset_taken" && facts.nextOffset !== undefined)
        return { kind: "offset", nextOffset: facts.nextOffset };
      throw error;
    }
  }

  /** Reads what is committed here; of a leader all that was acknowledged before the call. */
  async read(
    from: number,
    options: { linearizable: boolean; atLeast?: number; maxBytes: number },
  ): Promise<ReadAnswer> {
    if (options.linearizable) await this.#door.confirm();
    else if (options.atLeast !== undefined) {
      const { atLeast } = options;
      await this.#until(() => this.#door.commit.offset >= atLeast);
    }
    const before = this.#stream.highWatermark;
    if (from >= before) return { batches: [], highWatermark: before, isLimited: false };
    const { maxBytes } = options;
    const { batches, nextOffset } = await this.#stream.read({ startOffset: from, maxBytes, controlBatches: false });
    const seen = batches.map(({ batch: { index, baseOffset, recordCount, payload, digest } }) => {
      return { index, baseOffset, count: recordCount, value: valueIn(payload), digest: hexOf(digest) };
    });
    const highWatermark = Math.max(before, nextOffset);
    return { batches: seen, highWatermark, isLimited: nextOffset < highWatermark };
  }

  /** Moves log start to a few records before the end, and the base as far as that lets it. */
  async trim(): Promise<void> {
    if (this.#replica.state?.role.kind !== "leader") throw new NotLeaderError(this.#replica.group, null);
    try {
      await this.#stream.trim(Math.max(this.#door.commit.offset - 10, this.#stream.logStart));
    } catch (error) {
      // The stream was deleted meanwhile.
      if (!(error instanceof ClosedError)) throw error;
    }
  }

  /** Ends the stream: resolves when that is committed. */
  async close(): Promise<void> {
    try {
      await this.#door.end();
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error;
      await this.#until(() => this.#door.commit.index >= error.end);
    }
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** A batch's payload: so many records, the first of which holds its value. */
export function payloadOf(value: string, count: number): Uint8Array {
  const writer = new RecordsWriter();
  writer.add(new TextEncoder().encode(value));
  for (let i = 1; i < count; i++) writer.add(new Uint8Array(0));
  return writer.take();
}

/** The value of a batch, by its payload. */
export function valueIn(payload: Uint8Array): string {
  let value = "";
  let isFirst = true;
  eachRecord(payload, (start, end) => {
    if (isFirst) value = new TextDecoder().decode(recordValue(payload, start, end));
    isFirst = false;
  });
  return value;
}

function answerOf(answer: StreamAnswer): AppendAnswer {
  if (!("index" in answer)) return { kind: "duplicate", first: undefined };
  const { index, startOffset: baseOffset, nextOffset, digest } = answer;
  if (answer.duplicate) return { kind: "duplicate", first: { index, baseOffset } };
  return { kind: "ok", appended: { index, baseOffset, nextOffset, digest } };
}

/** Logs are opened by the simulated node itself. */
const noLogs: LogDoors = {
  isAlone: false,
  groups: () => [],
  prepare: () => Promise.resolve(),
  isHere: () => true,
  open: () => undefined,
  describeNew: () => {
    throw new Error("groups are described by the run");
  },
  holds: () => true,
  create: () => {
    throw new Error("groups are made by the node");
  },
  close: () => Promise.reject(new Error("groups are closed by the run")),
  known: () => {},
  remove: () => Promise.reject(new Error("groups are removed by the node")),
  leave: () => Promise.reject(new Error("groups are let go by the node")),
};

function homeOfOne(): StreamHome {
  const usage = new Usage({ maxBytes: 0, nearLimit: () => {} });
  return { logs: noLogs, limits: defaultLimits, usage, idOf: () => undefined, rolled: () => {}, isStopped: false };
}
