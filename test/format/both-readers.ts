/**
 * The two readers of a data folder that tests compare: reader.py, written from docs/format.md alone, and the log itself.
 * @module
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import type { RecoveryReport } from "../../src/log/types.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { unless } from "../support/skip.ts";
import { type BatchLine, openSmall, whatLogsSay } from "./folder.ts";

export const hasPython = spawnSync("python3", ["--version"]).status === 0;
/** Options of a test that needs python3. */
export const python = unless(hasPython, "python3 is not there, in which the second reader is written");

/** What reader.py says. */
export interface ReadByPage {
  readonly status: number | null;
  readonly batches: BatchLine[];
  readonly errors: string[];
  readonly summary: {
    readonly frames: number;
    readonly clean: boolean;
    readonly groups: number;
    readonly segment_batches: number;
    readonly tail_batches: number;
    readonly index_entries: number;
    readonly creations: number;
    readonly producers: number;
    readonly fences: number;
  };
}

/** Runs reader.py. */
export function readByPage(folder: string): ReadByPage {
  const reader = fileURLToPath(new URL("./reader.py", import.meta.url));
  const { status, stdout, stderr } = spawnSync("python3", [reader, folder], { encoding: "utf8", maxBuffer: 1 << 28 });
  const errors = stderr.trim().split("\n");
  const summary = JSON.parse(errors.pop() ?? "");
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { status, batches: lines.map((line) => JSON.parse(line)), errors, summary };
}

/** What the log says of a folder: it is recovered for this, so the second reader comes first. */
export async function readByLog(folder: string): Promise<{ report: RecoveryReport; batches: BatchLine[] }> {
  const opened = await openSmall(folder);
  const batches = await whatLogsSay(opened);
  await opened.close();
  return { report: opened.report, batches };
}

/** Places for data folders, all gone when the tests of the file that asks are done. */
export function folderPlaces() {
  const root = temporaryFolder();
  const place = () => path.join(fs.mkdtempSync(path.join(root, "folder-")), "data");
  /** A folder as a kill at this moment leaves it: nothing of ours runs while it is copied. */
  const copied = (folder: string) => {
    const copy = place();
    fs.cpSync(folder, copy, { recursive: true });
    return copy;
  };
  return { place, copied };
}

/** Makes something when it is first asked for. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** The newest frame, and where it ends without its padding. */
export function newestFrame(folder: string): { path: string; end: number } {
  let newest = { path: "", end: 0, number: 0 };
  for (const name of fs.readdirSync(path.join(folder, "journal"))) {
    const file = path.join(folder, "journal", name);
    const bytes = fs.readFileSync(file);
    for (let at = 0; at < bytes.length; at += 4096) {
      const number = Number(bytes.readBigUInt64LE(at + 16));
      if (bytes.toString("latin1", at + 4, at + 8) !== "TRJF" || number <= newest.number) continue;
      newest = { path: file, end: at + bytes.readUInt32LE(at + 8), number };
    }
  }
  return newest;
}

/** The last segment of group 1. */
export function newestSegment(folder: string): string {
  const segments = path.join(folder, "groups/1/1");
  const names = fs.readdirSync(segments).filter((name) => name.endsWith(".log"));
  return path.join(segments, names.sort().at(-1) ?? "");
}
