import { spawn } from "node:child_process";
import { cliCommand } from "./node-process.ts";

/** How a command ended. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A command that runs. */
export interface CliRun {
  readonly ended: Promise<CliResult>;
  /** Bytes that it has written to standard output so far. */
  stdoutBytes(): number;
  /** Gives it more input; resolves when it wants more. */
  write(bytes: Uint8Array): Promise<void>;
  closeInput(): void;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `tailrace ARGS`, from the sources unless another program is given, against the node at `server`. */
export function startCli(server: string, args: readonly string[], program: readonly string[] = cliCommand): CliRun {
  const [command = "", ...rest] = program;
  const child = spawn(command, [...rest, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, TAILRACE_SERVER: server },
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  let bytes = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    stdout.push(chunk);
    bytes += chunk.length;
  });
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A command that ends early closes its input; how it ended is what counts.
  child.stdin.on("error", () => {});
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
    });
  });
  return {
    ended,
    stdoutBytes: () => bytes,
    write: (input) => new Promise((resolve) => child.stdin.write(input, () => resolve())),
    closeInput: () => child.stdin.end(),
    kill: (signal) => child.kill(signal),
  };
}

/** Runs a command to its end. */
export async function runCli(
  server: string,
  args: readonly string[],
  input?: Uint8Array,
  program?: readonly string[],
): Promise<CliResult> {
  const run = startCli(server, args, program);
  if (input !== undefined) await run.write(input);
  run.closeInput();
  return run.ended;
}
