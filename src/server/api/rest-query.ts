/**
 * Parameters in the query of a REST call.
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Context } from "hono";
import { invalidField } from "../../base/errors.ts";
import type { AppendOptions } from "../../stream/types.ts";
import { AppendRequestSchema, type PositionSchema } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { toPosition } from "../../wire/position.ts";
import type { ApiEnv } from "./app.ts";
import { conditionsOf } from "./requests.ts";

/** What an append by REST may say of what it depends on. */
export const conditionNames = [
  "producer_id",
  "producer_epoch",
  "producer_sequence",
  "fence",
  "expected_offset",
] as const;

/** What an append depends on: the same fields as of an AppendRequest. */
export function conditionsIn(query: Map<string, string>): AppendOptions {
  const id = query.get("producer_id");
  const sequence = bigintOf(query, "producer_sequence");
  const epoch = numberOf(query, "producer_epoch");
  if (id === undefined && (sequence !== undefined || epoch !== undefined)) {
    throw invalidField("producer_id", "it is missing", "Name the producer whose epoch and sequence these are");
  }
  if (id !== undefined && sequence === undefined) {
    throw invalidField("producer_sequence", "it is missing", "Number the producer's batches from 0, by one");
  }
  const fence = query.get("fence");
  const producer =
    id === undefined ? {} : { producer: { id: producerId(id), epoch: epoch ?? 0, sequence: sequence ?? 0n } };
  const request = create(AppendRequestSchema, {
    ...producer,
    ...(fence === undefined ? {} : { fence: new TextEncoder().encode(fence) }),
    ...optional("expectedOffset", bigintOf(query, "expected_offset")),
  });
  return conditionsOf(request);
}

/** 16 bytes in hexadecimal, with dashes or without: a UUID is one. */
function producerId(text: string): Uint8Array {
  const digits = text.replaceAll("-", "");
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) {
    throw invalidField("producer_id", "it is not 16 bytes in hexadecimal", "Use 32 hexadecimal digits, or a UUID");
  }
  return Uint8Array.from({ length: 16 }, (_, at) => Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16));
}

/** The query's parameters; one that is not known is refused, since a typing error would otherwise read too much. */
export function queryOf(c: Context<ApiEnv>, known: readonly string[]): Map<string, string> {
  const query = new Map<string, string>();
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (!known.includes(name)) {
      throw invalidField(name.slice(0, 40), "it is not a parameter of this call", `Use ${known.join(", ")}`);
    }
    query.set(name, value);
  }
  return query;
}

/** Where a read begins. */
export function startOf(from: string): MessageInitShape<typeof PositionSchema> {
  if (from === "earliest" || from === "latest") return { at: { case: from, value: true } };
  if (/^\d+$/.test(from)) return { at: { case: "offset", value: BigInt(from) } };
  if (/^-\d+$/.test(from)) return { at: { case: "beforeEnd", value: BigInt(from.slice(1)) } };
  const ms = /^\d{4}-\d\d-\d\dT/.test(from) ? Date.parse(from) : Number.NaN;
  if (Number.isNaN(ms)) {
    const todo = "Use an offset, earliest, latest, -N for N records before the end, or a time as 2026-01-31T12:00:00Z";
    throw invalidField("from", `${JSON.stringify(from.slice(0, 40))} is not a place in a stream`, todo);
  }
  return { at: { case: "appendTime", value: timestampFromMs(ms) } };
}

/** A whole number; none where it is not given. */
export function bigintOf(query: Map<string, string>, name: string): bigint | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,20}$/.test(text)) {
    throw invalidField(name, `${JSON.stringify(text.slice(0, 40))} is not a whole number from 0 on`, "Use digits only");
  }
  return BigInt(text);
}

/** The same, below 2^32. */
export function numberOf(query: Map<string, string>, name: string): number | undefined {
  const value = bigintOf(query, name);
  if (value === undefined) return undefined;
  if (value >= 2n ** 32n) throw invalidField(name, `${value} is too large`, "Use a number below 2^32");
  return Number(value);
}

/** The stream's id, where it must be that one. */
export function idOf(query: Map<string, string>): { streamId?: number } {
  const id = bigintOf(query, "stream_id");
  return id === undefined ? {} : { streamId: toPosition(id, "stream_id") };
}

/** A field, where there is a value for it. */
export function optional<Name extends string>(name: Name, value: bigint | undefined): { [key in Name]?: bigint } {
  const fields: { [key in Name]?: bigint } = {};
  if (value !== undefined) fields[name] = value;
  return fields;
}
