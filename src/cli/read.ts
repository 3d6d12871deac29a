/**
 * `tailrace read`: records out.
 * @module
 */
import { type FollowOptions, followParts, type ReadPart, readParts, recordsOf } from "../client/index.ts";
import { connectTo } from "./connection.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { sentences } from "./failure.ts";
import { JsonPrinter } from "./json-printer.ts";
import { LinePrinter } from "./line-printer.ts";
import { type Output, standardOutput } from "./output.ts";
import type { RecordPrinter } from "./record-printer.ts";
import { parseStartPosition, startPositionWords } from "./start-position.ts";
import { exitOnSignals } from "./stop-signal.ts";

export interface ReadCommandOptions {
  readonly server: string;
  /** As typed. */
  readonly from: string;
  readonly follow?: boolean;
  readonly count: number | undefined;
  readonly consistency?: "local" | "linearizable";
  readonly atLeastOffset?: number;
  readonly json?: boolean;
}

/** Output is written when so much of it waits, and whenever nothing more has come. */
const writeBytes = 256 << 10;

/** Runs the command; resolves with the exit code. SIGINT and SIGTERM end it at once. */
export async function read(stream: string, options: ReadCommandOptions): Promise<number> {
  const start = parseStartPosition(options.from, Date.now());
  if (start === undefined) {
    const message = `--from ${options.from} is no position. Give ${startPositionWords}.`;
    throw new CommandError(message, exitCodes.usage);
  }
  exitOnSignals();
  const { client, close } = connectTo(options.server);
  const { count: maxRecords, consistency, atLeastOffset } = options;
  const freshness = { linearizable: consistency === "linearizable", atLeastOffset };
  const parts = options.follow
    ? followParts(client, { stream, start, ...freshness, ...notices() })
    : readParts(client, { stream, start, ...freshness, maxRecords });
  try {
    await print(parts, maxRecords ?? Number.POSITIVE_INFINITY, options.json ? new JsonPrinter() : new LinePrinter());
  } finally {
    close();
  }
  return exitCodes.ok;
}

/** Prints at most `maxRecords` records. */
async function print(parts: AsyncGenerator<ReadPart>, maxRecords: number, printer: RecordPrinter): Promise<void> {
  const output = standardOutput();
  let left = maxRecords;
  try {
    while (left > 0) {
      const next = parts.next();
      next.catch(() => {}); // It is thrown where it is awaited, unless writing fails before.
      if (printer.byteLength >= writeBytes || !(await isThere(next))) await writeAll(output, printer);
      const { done, value: part } = await next;
      if (done) break;
      for (const batch of part.batches) {
        const take = Math.min(recordsOf(batch), left);
        if (take > 0) printer.add(batch, batch.skip, take);
        left -= take;
      }
    }
  } finally {
    await writeAll(output, printer);
  }
}

async function writeAll(output: Output, printer: RecordPrinter): Promise<void> {
  for (const piece of printer.takeAll()) await output.write(piece);
}

/** Whether the promise settles within this turn. */
function isThere(promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    setImmediate(() => resolve(false));
    promise.then(
      () => resolve(true),
      () => resolve(true),
    );
  });
}

/** Tells on stderr when the connection goes and comes back, once each. */
function notices(): Pick<FollowOptions, "onDisconnected" | "onReconnected"> {
  let isConnected = true;
  return {
    onDisconnected(why) {
      if (isConnected) process.stderr.write(`tailrace: ${sentences(why.message, "Trying to connect again")}\n`);
      isConnected = false;
    },
    onReconnected(offset) {
      process.stderr.write(`tailrace: connected again, going on at offset ${offset}\n`);
      isConnected = true;
    },
  };
}
