/**
 * What the runtimes throw when a system call fails, told apart by the code alone: on Deno an error of `node:fs` has
 * neither `errno` nor `syscall`, and for the rarer failures no `code` either, only the number in its words.
 * @module
 */
import { constants } from "node:os";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";

const noRoom = new Set(["ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE"]);

/** The system's name for what went wrong, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  const number = Number(/ \(os error (\d+)\)$/.exec(error.message)?.[1]);
  return Object.entries(constants.errno).find(([, value]) => value === number)?.[0];
}

/** What a failed call other than a sync becomes. `what` is like "Cannot open". */
export function diskFailure(what: string, path: string, error: unknown): NoRoomError | DiskError {
  const code = codeOf(error);
  if (code !== undefined && noRoom.has(code)) return new NoRoomError(sentence(what, path, error), code);
  return new DiskError(sentence(what, path, error), code);
}

/** What a failed sync becomes: final, also for want of room, since nobody knows which of the pages were lost. */
export function syncFailure(path: string, error: unknown): DiskError {
  return new DiskError(sentence("Cannot sync", path, error), codeOf(error));
}

function sentence(what: string, path: string, error: unknown): string {
  const code = codeOf(error);
  const told = error instanceof Error ? error.message : String(error);
  // "ENOSPC: no space left on device, write '/x'" on Bun and Node, "No space left on device (os error 28)" on Deno.
  const why = told.replace(/^[A-Z0-9]+: /, "").replace(/, [a-z]+( '.*)?$| \(os error \d+\)$/s, "");
  return code === undefined ? `${what} ${path}: ${why}` : `${what} ${path}: ${why} (${code})`;
}
