import { CommandError, OutputClosedError } from "./exit.ts";

/** Where a command writes what it was asked for. */
export interface Output {
  /**
   * Resolves when the bytes are on their way; wait for it before the next. They must not change afterwards.
   * @throws {OutputClosedError} when nobody reads any more.
   * @throws {CommandError} when it can't be written.
   */
  write(bytes: Uint8Array | string): Promise<void>;
}

/** The process's own output. */
export function standardOutput(): Output {
  const { stdout } = process;
  // Each write is told of its own failure; without a listener the stream would end the process as well.
  stdout.on("error", () => {});
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stdout.write(bytes, (error) => {
          if (!error) resolve();
          else reject(writeFailure(error));
        });
      }),
  };
}

function writeFailure(error: Error): Error {
  if ("code" in error && error.code === "EPIPE") return new OutputClosedError();
  return new CommandError(`cannot write the output: ${error.message}. Make room for it, or send it elsewhere.`);
}
