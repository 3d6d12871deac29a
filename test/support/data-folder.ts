import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after } from "node:test";
import { type Clock, systemClock } from "../../src/host/clock.ts";
import type { Disk } from "../../src/host/disk.ts";
import { systemHash } from "../../src/host/hash.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import { systemRandom } from "../../src/host/random.ts";
import { openDataFolder } from "../../src/log/data-folder.ts";
import type { LogOptions } from "../../src/log/settings.ts";
import type { DataFolder } from "../../src/log/types.ts";

/** The journal that tests have: small files are made faster. */
export const smallLog: LogOptions = { journalFileBytes: 4 << 20, journalFiles: 4, arenaBytes: 4 << 20 };

/** A new folder of the machine, which goes when the tests of the file are done. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-test-"));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens a data folder, on the real disk and by the real time unless others are given. */
export function openFolder(data: string, disk: Disk = nodeDisk(), clock: Clock = systemClock): Promise<DataFolder> {
  return openDataFolder({
    path: data,
    disk,
    clock,
    hash: systemHash,
    random: systemRandom,
    settings: smallLog,
  });
}
