/**
 * Deadlines as clients send them.
 * @module
 */
import { Code, type ConnectError } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { Reason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { withDetail } from "./errors.ts";

/** Header of gRPC and gRPC-Web: at most 8 digits and a unit. */
export const grpcTimeoutHeader = "grpc-timeout";
/** Header of Connect: at most 10 digits, milliseconds. */
export const connectTimeoutHeader = "connect-timeout-ms";

/** A deadline in milliseconds from now, or what is wrong with the header. */
export interface Timeout {
  readonly timeoutMs?: number | undefined;
  readonly error?: ConnectError;
}

/** No deadline is refused for being far away: one that no timer can hold is as good as none. */
const longest = Number.MAX_SAFE_INTEGER;

export function grpcTimeout(header: string, callId: string): Timeout {
  const { timeoutMs, error } = parseGrpcTimeout(header, longest);
  if (error === undefined) return { timeoutMs };
  return { error: malformed(grpcTimeoutHeader, header, "Send up to 8 digits and one of H M S m u n", callId) };
}

export function connectTimeout(header: string, callId: string): Timeout {
  const { timeoutMs, error } = parseConnectTimeout(header, longest);
  if (error === undefined) return { timeoutMs };
  return { error: malformed(connectTimeoutHeader, header, "Send up to 10 digits, milliseconds", callId) };
}

function malformed(field: string, header: string, todo: string, requestId: string): ConnectError {
  const message = `Invalid ${field}: ${JSON.stringify(header.slice(0, 40))} is no deadline`;
  return withDetail(Code.InvalidArgument, message, { requestId, reason: Reason.INVALID_FIELD, field, todo });
}
