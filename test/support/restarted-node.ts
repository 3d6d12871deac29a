/**
 * A node of its own process that is stopped or killed and started again on its folder, and what tests of its streams
 * have in common.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { type ErrorDetail, ErrorDetailSchema, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import type { ReadResponse } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import type { StreamSettingsSchema } from "../../src/wire/gen/tailrace/v1/stream_pb.ts";
import { temporaryFolder } from "./data-folder.ts";
import { type NodeProcess, startNode } from "./node-process.ts";

/** Four fill a segment of the smallest size, and each goes to it directly. */
export const largeBytes = 300_000;
export const smallSegments = { segmentMaxBytes: 1n << 20n };

/** A node that can be started again on its folder. */
export class RestartedNode {
  readonly data = temporaryFolder();
  readonly #args: readonly string[];
  #node: NodeProcess | undefined;
  #connection: Connection | undefined;

  /** @param args More arguments of `serve`. */
  constructor(args: readonly string[] = []) {
    this.#args = args;
  }

  async start(): Promise<void> {
    this.#node = await startNode({ data: this.data, args: this.#args });
    this.#connection = connectTo(this.#node.url);
  }

  async restart(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#connection?.close();
    await this.#node?.end(signal);
  }

  get client() {
    assert.ok(this.#connection !== undefined);
    return this.#connection.client;
  }

  /** What it wrote since its last start. */
  output(): string {
    return this.#node?.output() ?? "";
  }

  get url(): string {
    return this.#node?.url ?? "";
  }

  /** Creates a stream with records of 300,000 bytes each of their own number. */
  async createLarge(name: string, records: number, more: MessageInitShape<typeof StreamSettingsSchema> = {}) {
    const settings = { ...smallSegments, ...more };
    const { stream } = await this.client.streams.createStream({ name, settings });
    for (let record = 0; record < records; record++) await this.append(name, recordOf(record));
    return stream?.id ?? 0n;
  }

  async append(stream: string, ...values: Uint8Array[]): Promise<bigint | undefined> {
    const appended = await this.client.log.append({ stream, records: values.map((value) => ({ value })) });
    return appended.startOffset;
  }

  async trim(name: string, logStart: bigint): Promise<bigint> {
    return (await this.client.streams.trimStream({ name, logStart })).logStart;
  }

  async ends(name: string): Promise<[bigint | undefined, bigint | undefined]> {
    const { stream } = await this.client.streams.getStream({ name });
    return [stream?.logStart, stream?.highWatermark];
  }

  read(stream: string, offset: bigint): Promise<ReadResponse> {
    return this.client.log.read({ stream, start: { at: { case: "offset", value: offset } } });
  }

  /** Names of the segments of a stream. */
  segments(id: bigint): string[] {
    const files = fs.readdirSync(path.join(this.data, "groups", String(id)), { recursive: true });
    return files.map(String).filter((file) => file.endsWith(".log"));
  }
}

export function recordOf(record: number): Uint8Array {
  return new Uint8Array(largeBytes).fill(record);
}

export function valuesOf({ batches }: ReadResponse): Uint8Array[] {
  return batches.flatMap(({ records }) => records.map(({ value }) => value));
}

export async function refusal(work: Promise<unknown>): Promise<{ code: Code; detail: ErrorDetail | undefined }> {
  const error = await work.then(
    () => assert.fail("it is refused"),
    (cause: unknown) => ConnectError.from(cause),
  );
  return { code: error.code, detail: error.findDetails(ErrorDetailSchema)[0] };
}

export async function assertBelow(work: Promise<unknown>, logStart: bigint, nextOffset: bigint): Promise<void> {
  const { code, detail } = await refusal(work);
  assert.deepEqual(
    [code, detail?.reason, detail?.logStart, detail?.nextOffset],
    [Code.OutOfRange, Reason.BELOW_LOG_START, logStart, nextOffset],
  );
}
