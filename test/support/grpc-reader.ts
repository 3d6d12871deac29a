/**
 * A reader by a stock gRPC client, with the .proto files as any user of another language has them.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** A record as the stock client gives it. */
export interface GrpcRecord {
  readonly value: Uint8Array;
  readonly headers: readonly { readonly name: string; readonly value: Uint8Array }[];
}

interface GrpcReadResponse {
  readonly batches: readonly { readonly records: readonly GrpcRecord[] }[];
  readonly nextOffset: string;
  readonly highWatermark: string;
}

/** All records of a stream, by LogService.Read again and again. */
export async function readByGrpc(url: string, stream: string): Promise<GrpcRecord[]> {
  const definition = loadSync("tailrace/v1/log.proto", {
    includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
    longs: String,
    defaults: true,
  });
  const service = definition["tailrace.v1.LogService"];
  assert.ok(service !== undefined && !("format" in service));
  const { Read: method } = service as grpc.ServiceDefinition;
  assert.ok(method !== undefined);
  const options = { "grpc.max_receive_message_length": 16 << 20 };
  const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure(), options);
  const read = (offset: string) =>
    new Promise<GrpcReadResponse>((resolve, reject) => {
      client.makeUnaryRequest<object, GrpcReadResponse>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { stream, start: { offset } },
        (error, answer) => {
          if (answer === undefined) reject(error ?? new Error("neither answer nor error"));
          else resolve(answer);
        },
      );
    });
  const records: GrpcRecord[] = [];
  for (let offset = "0"; ; ) {
    const answer = await read(offset);
    records.push(...answer.batches.flatMap((batch) => batch.records));
    if (answer.nextOffset === answer.highWatermark) break;
    assert.notEqual(answer.nextOffset, offset, "a read that is not at the end gives something");
    offset = answer.nextOffset;
  }
  client.close();
  return records;
}
