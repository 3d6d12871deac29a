/**
 * How a command ends. Light, so that it costs nothing where nothing goes wrong.
 * @module
 */

/** For scripts. `--help` tells them; they do not change. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  fateUnknown: 5,
  interrupted: 130,
  terminated: 143,
} as const;

/** A command can't go on, and says why in one line: what happened, to what, what to do. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Whoever read our output has gone (`| head`): no error, the command just ends. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}
