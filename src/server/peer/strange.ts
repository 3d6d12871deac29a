/**
 * Which errors of a session say that a peer is none, or speaks what this version does not: a connection that broke is neither.
 * @module
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { TailraceError } from "../../base/errors.ts";

const strangeCodes: ReadonlySet<Code> = new Set([
  ...[Code.InvalidArgument, Code.FailedPrecondition, Code.Unimplemented, Code.OutOfRange, Code.DataLoss],
  ...[Code.PermissionDenied, Code.Unauthenticated],
]);

/** Whether an error is to be told of. */
export function isStrange(error: unknown): boolean {
  return error instanceof TailraceError || (error instanceof ConnectError && strangeCodes.has(error.code));
}
