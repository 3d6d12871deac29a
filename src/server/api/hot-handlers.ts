/**
 * Append and Read from bytes to bytes: the request's records are never decoded, nor are the answer's.
 * @module
 */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { encodeAppendResponse } from "../../wire/append-response.ts";
import { AppendRequestSchema, AppendResponseSchema, ReadRequestSchema } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { malformedRequest, splitRecords } from "../../wire/split-records.ts";
import { appendResponse, readResponseBytes } from "./answers.ts";
import { append } from "./append.ts";
import type { Call } from "./call.ts";
import type { ApiContext } from "./context.ts";
import { read } from "./read.ts";
import { type AnswerForm, appendCommand, readQuery } from "./requests.ts";

/** Answers one request, both as protobuf. Fails with a ConnectError. */
export type HotHandler = (request: Uint8Array, call: Call) => Promise<Uint8Array>;

export function hotAppend(api: ApiContext): HotHandler {
  return async (request, call) => {
    const command = () => {
      const { records, rest } = splitRecords(request);
      return appendCommand(parse(AppendRequestSchema, rest), records);
    };
    const answer = await append(api, command, call);
    return answer.duplicate ? toBinary(AppendResponseSchema, appendResponse(answer)) : encodeAppendResponse(answer);
  };
}

export function hotRead(api: ApiContext): HotHandler {
  return async (request, call) => {
    let form: AnswerForm = "records";
    const query = () => {
      const checked = readQuery(parse(ReadRequestSchema, request), api.limits);
      form = checked.form;
      return checked;
    };
    const answer = await read(api, query, call);
    return readResponseBytes(answer, form);
  };
}

function parse<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw malformedRequest(error instanceof Error ? error.message : String(error));
  }
}
