import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after } from "node:test";

/** A new folder of the machine, which goes when the tests of the file are done. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-cli-"));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}
