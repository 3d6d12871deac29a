import { toJson } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import { limitName } from "../../base/limits.ts";
import { type ErrorDetail, ErrorDetailSchema, Reason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { noStore } from "./caching.ts";
import { detailOf } from "./errors.ts";

/** An error as REST gives it: `{code, message, detail}`, with the status that HTTP has for it. */
export function restError(error: ConnectError): { code: string; response: Response } {
  const code = codeToString(error.code);
  const detail = detailOf(error);
  const body = {
    code,
    message: error.rawMessage,
    ...(detail === undefined ? {} : { detail: toJson(ErrorDetailSchema, detail) }),
  };
  const retryAfterMs = detail?.retryAfterMs;
  const headers = {
    "cache-control": noStore,
    ...(retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) }),
  };
  return { code, response: Response.json(body, { status: statusOf(error.code, detail), headers }) };
}

/** Limits on what all streams and appends have together: what they refuse may be taken later, as it is. */
const sharedLimits: readonly (string | undefined)[] = [limitName("appendQueueMaxBytes"), limitName("storedMaxBytes")];

/** 429 asks clients to send the same again, which is no use for what is too large. */
function statusOf(code: Code, detail: ErrorDetail | undefined): number {
  const name = detail?.reason === Reason.LIMIT ? detail.limit?.name : undefined;
  const isTooLarge = name?.endsWith("_bytes") === true && !sharedLimits.includes(name);
  return code === Code.ResourceExhausted && isTooLarge ? 413 : codeToHttpStatus(code);
}
