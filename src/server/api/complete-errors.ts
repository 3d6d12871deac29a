/**
 * Errors that connect's own handlers make, before ours are called, have no `tailrace.v1.ErrorDetail`, and call a message
 * that can't be parsed INTERNAL. Here the last part of an answer is looked at, and completed if it is such an error.
 * @module
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  codeToString,
  createEndStreamSerialization,
  endStreamFlag,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { RequestKind } from "./protocols.ts";

/** An answer as it is to go out. `code` is the call's outcome, known once the body was given whole. */
export interface CompletedResponse {
  readonly status: number;
  readonly header: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  readonly trailer: Headers | undefined;
  readonly outcome: { code: string };
}

const endStream = createEndStreamSerialization(undefined);
const envelopeBytes = 5;

/** Gives an error that has no detail another that has one. */
export type Complete = (error: ConnectError) => ConnectError;

export async function completeErrors(
  response: UniversalServerResponse,
  kind: RequestKind,
  complete: Complete,
): Promise<CompletedResponse> {
  const { status, trailer } = response;
  const header = response.header ?? new Headers();
  const body = response.body ?? none();
  const outcome = { code: "ok" };
  if (status !== 200) return completeUnary(status, header, await joined(body), complete);
  if (!kind.isEnveloped) return { status, header, body, trailer, outcome };
  return { status, header, body: completeFrames(body, trailer, kind, complete, outcome), trailer, outcome };
}

async function* completeFrames(
  body: AsyncIterable<Uint8Array>,
  trailer: Headers | undefined,
  { protocol }: RequestKind,
  complete: Complete,
  outcome: { code: string },
): AsyncGenerator<Uint8Array> {
  for await (const frame of body) {
    // Each chunk is one envelope: its flags come first, then its length.
    const flags = frame[0] ?? 0;
    if (protocol === "grpc-web" && flags === trailerFlag) {
      const trailers = trailerParse(frame.subarray(envelopeBytes));
      const isChanged = completeTrailers(trailers, complete, outcome);
      yield isChanged ? encodeEnvelope(trailerFlag, trailerSerialize(trailers)) : frame;
    } else if (protocol === "connect" && flags === endStreamFlag) {
      const end = endStream.parse(frame.subarray(envelopeBytes));
      const error = end.error && completeError(end.error, complete, outcome);
      const isChanged = error !== undefined && error !== end.error;
      yield isChanged ? encodeEnvelope(endStreamFlag, endStream.serialize({ ...end, error })) : frame;
    } else yield frame;
  }
  if (trailer !== undefined) completeTrailers(trailer, complete, outcome);
}

/** Completes the status in trailers; false if there was nothing to do. */
function completeTrailers(trailers: Headers, complete: Complete, outcome: { code: string }): boolean {
  const error = findTrailerError(trailers);
  const completed = error && completeError(error, complete, outcome);
  if (completed === undefined || completed === error) return false;
  setTrailerStatus(trailers, completed);
  return true;
}

/** A unary Connect error; one without a body is HTTP's own: a method or content type that no handler takes. */
function completeUnary(status: number, header: Headers, body: Uint8Array, complete: Complete): CompletedResponse {
  const outcome = { code: "unknown" };
  const isHttpError = body.length === 0;
  const error = isHttpError ? httpError(status) : errorFromJsonBytes(body, undefined, httpError(status));
  const completed = completeError(error, complete, outcome);
  const bytes = errorToJsonBytes(completed, undefined);
  header.set("content-type", "application/json");
  header.set("content-length", String(bytes.length));
  // What HTTP calls it stays: proxies and browsers know 405 and 415 better than a code.
  const finalStatus = isHttpError ? status : codeToHttpStatus(completed.code);
  return { status: finalStatus, header, body: only(bytes), trailer: undefined, outcome };
}

function httpError(status: number): ConnectError {
  switch (status) {
    case 405:
      return new ConnectError("The method is not one that this RPC takes: use POST", Code.Unimplemented);
    case 415:
      return new ConnectError(
        "The content type is not one that this RPC takes: use application/json or application/proto (streams: " +
          "application/connect+json), application/grpc or application/grpc-web",
        Code.InvalidArgument,
      );
    case 505:
      return new ConnectError("Streams of requests need HTTP/2", Code.Unimplemented);
    default:
      return new ConnectError(`HTTP status ${status}`, Code.Unknown);
  }
}

/** The error with a detail, the same one if it has that; and its code as the call's outcome. */
function completeError(error: ConnectError, complete: Complete, outcome: { code: string }): ConnectError {
  const completed = complete(error);
  outcome.code = codeToString(completed.code);
  return completed;
}

async function joined(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return chunks.length === 1 ? (chunks[0] ?? new Uint8Array(0)) : Buffer.concat(chunks);
}

async function* only(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

async function* none(): AsyncGenerator<Uint8Array> {}
