/**
 * A client of a cluster that speaks one protocol to one node at a time, and takes down all that it does.
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { RecordsWriter } from "../../../src/base/records-writer.ts";
import { producerMessage } from "../../../src/client/append.ts";
import { createClient, type TailraceClient } from "../../../src/client/client.ts";
import { type Conflict, type RequestError, toRequestError } from "../../../src/client/errors.ts";
import { atOffset } from "../../../src/client/reader.ts";
import { Http2Session } from "../../../src/host/http2-session.ts";
import type {
  AppendOperation,
  AppendOutcome,
  Consistency,
  ReadOperation,
  SeenBatch,
  Shown,
  Stamp,
} from "../../../src/sim/history/history.ts";
import { Reason } from "../../../src/wire/gen/tailrace/v1/error_pb.ts";
import type { AppendResponse, ReadResponse } from "../../../src/wire/gen/tailrace/v1/log_pb.ts";
import { Form, Consistency as WireConsistency } from "../../../src/wire/gen/tailrace/v1/log_pb.ts";
import { type Batch, RecordsSchema } from "../../../src/wire/gen/tailrace/v1/record_pb.ts";
import { fromPosition, toPosition } from "../../../src/wire/position.ts";
import type { ClusterNode } from "./node-process.ts";
import type { Recorder } from "./recorder.ts";

export const protocols = ["gRPC", "gRPC-Web", "JSON"] as const;
export type Protocol = (typeof protocols)[number];

/** A request that takes longer is given up, and what became of it is not known. */
const requestMaxMs = 2_000;

export interface ClusterClientOptions {
  /** Of all clients of a test each has another. */
  readonly number: number;
  readonly protocol: Protocol;
  /** Where it goes, in this order and round again. */
  readonly nodes: readonly ClusterNode[];
  readonly recorder: Recorder;
}

export interface AppendWish {
  readonly stream: string;
  /** Each record has it. */
  readonly value: string;
  readonly count: number;
  readonly producer?: Stamp;
  readonly expectedOffset?: number;
}

export interface ReadWish {
  readonly stream: string;
  readonly from: number;
  readonly consistency: Consistency;
  readonly maxRecords?: number;
}

interface Connection {
  readonly client: TailraceClient;
  close(): void;
}

export class ClusterClient {
  readonly number: number;
  readonly protocol: Protocol;
  readonly #nodes: readonly ClusterNode[];
  readonly #recorder: Recorder;
  #at: number;
  #connection: Connection | undefined;

  constructor({ number, protocol, nodes, recorder }: ClusterClientOptions) {
    this.number = number;
    this.protocol = protocol;
    this.#nodes = nodes;
    this.#recorder = recorder;
    this.#at = number % nodes.length;
  }

  async append(wish: AppendWish): Promise<AppendOutcome> {
    const { stream, value, count, producer, expectedOffset } = wish;
    const request = {
      ...{ stream, batch: payloadOf(value, count) },
      ...(producer && { producer: producerMessage(producerOf(producer), producer.sequence) }),
      ...(expectedOffset !== undefined && { expectedOffset: fromPosition(expectedOffset) }),
    };
    const begun: Omit<AppendOperation, "outcome"> = {
      ...{ kind: "append", client: this.number, invoked: this.#recorder.moment(), ...wish },
    };
    let outcome: AppendOutcome;
    try {
      outcome = this.#appended(await this.#open().log.append(request, { timeoutMs: requestMaxMs }));
    } catch (error) {
      outcome = this.#notAppended(this.#failed(error));
    }
    this.#recorder.add({ ...begun, outcome });
    return outcome;
  }

  /** Reads a part of a stream. */
  async read(wish: ReadWish): Promise<ReadOperation["outcome"]> {
    const { stream, from, consistency, maxRecords = 0 } = wish;
    const request = {
      ...{ stream, start: { at: atOffset(from) }, form: Form.PAYLOAD, maxRecords },
      ...(consistency.kind === "linearizable" && { consistency: WireConsistency.LINEARIZABLE }),
      ...(consistency.kind === "atLeast" && { atLeastOffset: fromPosition(consistency.offset), waitMs: 1_000 }),
    };
    const begun: Omit<ReadOperation, "outcome"> = {
      ...{ kind: "read", client: this.number, invoked: this.#recorder.moment(), stream, from, consistency },
    };
    let outcome: ReadOperation["outcome"];
    try {
      outcome = this.#hasRead(await this.#open().log.read(request, { timeoutMs: requestMaxMs }));
    } catch (error) {
      outcome = this.#notRead(this.#failed(error));
    }
    this.#recorder.add({ ...begun, outcome });
    return outcome;
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #open(): TailraceClient {
    const node = this.#nodes[this.#at];
    if (node === undefined) throw new Error("a client has at least one node to go to");
    this.#connection ??= connect(this.protocol, node.url);
    return this.#connection.client;
  }

  /** The next request goes to the next node. */
  #failed(error: unknown): RequestError {
    const failure = toRequestError(error);
    if (failure.conflict === undefined) {
      this.close();
      this.#at = (this.#at + 1) % this.#nodes.length;
    }
    return failure;
  }

  #appended({ duplicate, index, startOffset, nextOffset, digest }: AppendResponse): AppendOutcome {
    const returned = this.#recorder.moment();
    const isKnown = index !== undefined && startOffset !== undefined && nextOffset !== undefined;
    const first = isKnown && { index: toPosition(index, "index"), baseOffset: toPosition(startOffset, "start_offset") };
    if (duplicate) return { kind: "duplicate", returned, ...(first && { first }) };
    if (!first) throw new Error("an append was answered without its place");
    return { kind: "ok", returned, ...first, nextOffset: toPosition(nextOffset, "next_offset"), digest: hex(digest) };
  }

  #notAppended(failure: RequestError): AppendOutcome {
    const returned = this.#recorder.moment();
    if (!failure.nothingWritten) return { kind: "unknown", returned };
    const { conflict } = failure;
    return conflict ? { kind: "refused", returned, shown: shownBy(conflict) } : { kind: "failed", returned };
  }

  #hasRead({ batches, nextOffset, highWatermark }: ReadResponse): ReadOperation["outcome"] {
    return {
      ...{ kind: "ok", returned: this.#recorder.moment(), batches: batches.map(seen) },
      highWatermark: toPosition(highWatermark, "high_watermark"),
      ...(nextOffset < highWatermark && { isLimited: true }),
    };
  }

  #notRead({ detail }: RequestError): ReadOperation["outcome"] {
    const returned = this.#recorder.moment();
    if (detail?.reason !== Reason.PAST_END || detail.nextOffset === undefined) return { kind: "failed", returned };
    return { kind: "ok", returned, batches: [], highWatermark: toPosition(detail.nextOffset, "next_offset") };
  }
}

/** Connects at the first request. */
export function connect(protocol: Protocol, baseUrl: string): Connection {
  const common = { baseUrl, acceptCompression: [], readMaxBytes: 16 << 20 };
  switch (protocol) {
    case "gRPC": {
      const sessionManager = new Http2Session(baseUrl);
      const transport = createGrpcTransport({ ...common, sessionManager });
      return { client: createClient(transport), close: () => sessionManager.close() };
    }
    case "gRPC-Web":
      return { client: createClient(createGrpcWebTransport({ ...common, httpVersion: "1.1" })), close: () => {} };
    case "JSON": {
      const transport = createConnectTransport({ ...common, httpVersion: "1.1", useBinaryFormat: false });
      return { client: createClient(transport), close: () => {} };
    }
  }
}

/** A batch as a client sees it; its value is that of its records, which have all the same. */
export function seen({ index, startOffset, recordCount, digest, payload }: Batch): SeenBatch {
  const values = new Set(fromBinary(RecordsSchema, payload).records.map(({ value }) => Buffer.from(value).toString()));
  return {
    ...{ index: toPosition(index, "index"), baseOffset: toPosition(startOffset, "start_offset"), count: recordCount },
    ...{ value: [...values].join(" and "), digest: hex(digest) },
  };
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function payloadOf(value: string, count: number): Uint8Array {
  const writer = new RecordsWriter();
  const bytes = new TextEncoder().encode(value);
  for (let i = 0; i < count; i++) writer.add(bytes);
  return writer.take();
}

function producerOf({ id, epoch }: Stamp): { id: Uint8Array; epoch: number } {
  return { id: Uint8Array.from(Buffer.from(id, "hex")), epoch };
}

function shownBy(conflict: Conflict): Shown {
  switch (conflict.kind) {
    case "offsetTaken":
      return { kind: "offset", nextOffset: conflict.nextOffset };
    case "fenced":
      return { kind: "fence", token: Buffer.from(conflict.fence).toString() };
    case "staleEpoch":
    case "sequenceGap":
    case "unknownProducer":
      return { kind: "producer", ...conflict.expected };
  }
}
