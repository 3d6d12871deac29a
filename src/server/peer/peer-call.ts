/**
 * A call at the peer port, and how it is refused: what no node of this version says is refused to the one that says it, and told to
 * the port, which knows where it comes from.
 * @module
 */
import { ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { TailraceError } from "../../base/errors.ts";
import { codes } from "../api/errors.ts";

/** One call, as the port sees it. */
export interface PeerCall {
  /** Its message could be read, so what is wrong with it is for its handler to say. */
  isRead: boolean;
  /** Told when it says what no node says. */
  readonly strange: (why: string) => void;
}

/** Where a handler finds it. */
export const peerCallKey = createContextKey<PeerCall>({ isRead: true, strange: () => {} });

/** Reads a message. @throws {ConnectError} No node says such a thing: the port knows of it. */
export function readCall<T>(context: HandlerContext, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TailraceError) context.values.get(peerCallKey).strange(error.message);
    throw asPeerError(error);
  }
}

/** A refusal of ours as a peer is told of it. */
export function asPeerError(error: unknown): unknown {
  return error instanceof TailraceError ? new ConnectError(error.message, codes[error.code]) : error;
}
