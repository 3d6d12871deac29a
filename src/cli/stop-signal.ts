import { exitCodes } from "./exit.ts";

/** What a first SIGINT or SIGTERM asks for. */
export interface Stop {
  /** Aborts at the first one. */
  readonly signal: AbortSignal;
  /** Exit code that tells of it; undefined as long as there was none. */
  readonly exitCode: number | undefined;
}

/** SIGINT and SIGTERM end the process at once, quietly, with the exit codes that `--help` tells. */
export function exitOnSignals(): void {
  process.once("SIGINT", () => process.exit(exitCodes.interrupted));
  process.once("SIGTERM", () => process.exit(exitCodes.terminated));
}

/** Listens for SIGINT and SIGTERM. The first is for the caller to act on; a second ends the process at once. */
export function stopSignal(): Stop {
  const abort = new AbortController();
  let exitCode: number | undefined;
  const listen = (name: NodeJS.Signals, code: number) =>
    process.on(name, () => {
      if (exitCode !== undefined) process.exit(code);
      exitCode = code;
      abort.abort();
    });
  listen("SIGINT", exitCodes.interrupted);
  listen("SIGTERM", exitCodes.terminated);
  return {
    signal: abort.signal,
    get exitCode() {
      return exitCode;
    },
  };
}
