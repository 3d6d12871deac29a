/**
 * Parameters in the query of a REST call.
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { invalidField } from "../../base/errors.ts";
import type { AppendOptions } from "../../stream/types.ts";
import { AppendRequestSchema, Consistency, type PositionSchema, Routing } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { conditionsOf } from "./requests.ts";
import { bigintOf, numberOf } from "./rest-request.ts";

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

/** A field, where there is a value for it. */
export function optional<Name extends string>(name: Name, value: bigint | undefined): { [key in Name]?: bigint } {
  const fields: { [key in Name]?: bigint } = {};
  if (value !== undefined) fields[name] = value;
  return fields;
}

/** How much a read may lag, as its query says. */
export const freshnessNames = ["consistency", "at_least_offset"] as const;

/** How much a read may lag. */
export function consistencyOf(query: Map<string, string>): Consistency {
  return oneOf(query, "consistency", { local: Consistency.UNSPECIFIED, linearizable: Consistency.LINEARIZABLE });
}

/** What is done with an append where another node leads the stream. */
export function routingOf(query: Map<string, string>): Routing {
  return oneOf(query, "routing", { pass_on: Routing.UNSPECIFIED, refuse: Routing.REFUSE });
}

/** What a word stands for; the first where there is none. */
function oneOf<T>(query: Map<string, string>, name: string, words: Readonly<Record<string, T>>): T {
  const [first, ...rest] = Object.keys(words);
  const word = query.get(name) ?? first ?? "";
  const meaning = Object.hasOwn(words, word) ? words[word] : undefined;
  if (meaning !== undefined) return meaning;
  const todo = `Use ${[first, ...rest].join(" or ")}`;
  throw invalidField(name, `${JSON.stringify(word.slice(0, 40))} is not one that this version knows`, todo);
}
