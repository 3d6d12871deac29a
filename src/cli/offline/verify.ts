/**
 * `tailrace verify DIR`: whether a stopped node's folder is whole.
 * @module
 */
import { DiskError, NoRoomError } from "../../base/disk-errors.ts";
import { systemClock } from "../../host/clock.ts";
import { systemHash } from "../../host/hash.ts";
import { CommandError, exitCodes } from "../exit.ts";
import { standardOutput } from "../output.ts";
import { openBar, type Progress } from "../progress.ts";
import { type CheckedFolder, checkFolder } from "./folder-check.ts";
import { readingFolder } from "./open-folder.ts";
import { findingLines, isDamaged, jsonOfCheck, summaryLine } from "./report.ts";

export interface VerifyOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Runs the command; resolves with the exit code: 0 where all is whole, 1 where something is damaged. */
export async function verifyFolder(folder: string, options: VerifyOptions): Promise<number> {
  const startMs = systemClock.monotonicMs();
  return await explained(() =>
    readingFolder(folder, (read) =>
      withProgress(options.quiet === true, ({ stop, ...shown }) =>
        checkFolder(read, { hash: systemHash, ...shown }, async (checked) => {
          stop();
          await tell(checked, systemClock.monotonicMs() - startMs, options);
          return isDamaged(checked) ? exitCodes.failed : exitCodes.ok;
        }),
      ),
    ),
  );
}

async function tell(checked: CheckedFolder, elapsedMs: number, options: VerifyOptions): Promise<void> {
  const output = standardOutput();
  if (options.json) {
    await output.write(`${JSON.stringify(jsonOfCheck(checked, elapsedMs))}\n`);
    return;
  }
  const shown = checked.findings.filter(({ kind }) => kind === "damage" || !options.quiet);
  const lines = shown.flatMap((finding) => findingLines(checked, finding));
  if (isDamaged(checked) || !options.quiet) lines.push(summaryLine(checked, elapsedMs));
  if (isDamaged(checked)) lines.push(`"tailrace repair ${checked.path}" tells what can be kept, and changes nothing`);
  if (lines.length > 0) await output.write(`${lines.join("\n")}\n`);
}

/** Callbacks that show on a terminal how far a check is. */
interface ShownProgress {
  readonly sized: (bytes: number) => Promise<void>;
  readonly progress: (bytes: number) => void;
  /** Takes it off the terminal: something else is to be printed. */
  readonly stop: () => void;
}

/** Shows how far a check is as long as `work` lasts, or until it says that it is done. */
export async function withProgress<T>(isQuiet: boolean, work: (shown: ShownProgress) => Promise<T>): Promise<T> {
  let bar: Progress | undefined;
  let done = 0;
  const sized = async (bytes: number) => {
    bar = await openBar(bytes, isQuiet);
  };
  const progress = (bytes: number) => {
    done += bytes;
    bar?.update(done, 0);
  };
  const stop = () => {
    bar?.stop();
    bar = undefined;
  };
  try {
    return await work({ sized, progress, stop });
  } finally {
    stop();
  }
}

/** What the system refuses, as a line for a person. */
export async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NoRoomError) throw new CommandError(`${error.message}. Make room on the volume.`);
    if (!(error instanceof DiskError)) throw error;
    throw new CommandError(`${error.message}. See to the disk, or to the rights of who runs this.`);
  }
}
