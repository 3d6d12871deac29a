/**
 * What went wrong, as one line for a person and an exit code for a script.
 * @module
 */
import { Code } from "@connectrpc/connect";
import { RequestError } from "../client/index.ts";
import { CommandError, exitCodes, OutputClosedError } from "./exit.ts";
import { onOneLine } from "./one-line.ts";

/** The end of a command: what to say on stderr, if anything, and the exit code. */
export interface Ending {
  readonly message: string;
  readonly exitCode: number;
}

/** What an error that ended a command means. */
export function endingOf(error: unknown): Ending {
  if (error instanceof OutputClosedError) return { message: "", exitCode: exitCodes.ok };
  if (error instanceof CommandError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof RequestError) return { message: requestMessage(error), exitCode: requestExitCode(error) };
  if (saysWhatToDo(error)) return { message: sentences(error.message, error.todo), exitCode: exitCodes.failed };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `this should not have happened, please report it: ${stack}`, exitCode: exitCodes.failed };
}

/** Whether it is one of a node's refusals to start: its data folder or its port can't be used. */
function saysWhatToDo(error: unknown): error is Error & { readonly todo: string } {
  return error instanceof Error && "todo" in error && typeof error.todo === "string";
}

/** A request's failure, and what to do, in one line. */
export function requestMessage(error: RequestError): string {
  return sentences(whatFailed(error), whatToDo(error));
}

/** What happened, without what to do. */
export function whatFailed(error: RequestError): string {
  switch (error.kind) {
    case "unreachable":
      return `there is no node to talk to: ${error.message}`;
    case "lost":
      return `lost the connection to the node (${error.message})`;
    case "refused":
    case "aborted":
      return isStranger(error) ? `what answers there is not a node: ${error.message}` : error.message;
  }
}

function whatToDo(error: RequestError): string {
  switch (error.kind) {
    case "unreachable":
      return 'Start one with "tailrace serve", or give the address of another with --server';
    case "lost":
      return "Try again when it is back";
    case "refused":
    case "aborted":
      return isStranger(error) ? "Give the address of a node with --server" : error.todo;
  }
}

/** Whether something answered that is no node: a node's refusals have details. */
function isStranger(error: RequestError): boolean {
  return error.detail === undefined && error.code === Code.Unimplemented;
}

/** The exit code that goes with a request's failure. */
export function requestExitCode(error: RequestError): number {
  const isAway = error.isPassing;
  if (isAway) return exitCodes.unreachable;
  return error.code === Code.NotFound ? exitCodes.notFound : exitCodes.failed;
}

/** Sentences as one line, each with its full stop. */
export function sentences(...parts: readonly string[]): string {
  const stopped = parts.filter((part) => part !== "").map((part) => (/[.!?]$/.test(part) ? part : `${part}.`));
  return onOneLine(stopped.join(" "));
}
