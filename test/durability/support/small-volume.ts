/**
 * A small file system in memory, which can be filled to its last byte. It needs the right to mount.
 * @module
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after } from "node:test";

/** What fills a volume is in pieces of this, then in single bytes. */
const pieceBytes = 64 << 10;

export class SmallVolume {
  readonly folder: string;
  readonly #bytes: number;
  readonly #filler: string;

  private constructor(folder: string, bytes: number) {
    this.folder = folder;
    this.#bytes = bytes;
    this.#filler = path.join(folder, "filler");
  }

  /** Mounts one until the tests of the file are done; or says why it can't. */
  static mount(bytes: number): SmallVolume | string {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-volume-"));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tailrace-test", folder], { stdio: "pipe" });
    } catch (error) {
      fs.rmdirSync(folder);
      return error instanceof Error ? error.message.trim().replaceAll("\n", " ") : String(error);
    }
    let isMounted = true;
    const unmount = () => {
      if (!isMounted) return;
      isMounted = false;
      // Also where a process that a failed test left still has files open there.
      execFileSync("umount", ["-l", folder], { stdio: "ignore" });
      fs.rmdirSync(folder);
    };
    after(unmount);
    process.once("exit", unmount);
    return new SmallVolume(folder, bytes);
  }

  /** Removes all that is there. */
  clear(): void {
    for (const name of fs.readdirSync(this.folder)) fs.rmSync(path.join(this.folder, name), { recursive: true });
  }

  /** Takes all the room that there is. @throws {Error} There is more than the volume has: it is not mounted any more. */
  fill(): void {
    const file = fs.openSync(this.#filler, "a");
    try {
      for (const bytes of [pieceBytes, 1]) writeUntilFull(file, Buffer.alloc(bytes, 1), this.#bytes);
    } finally {
      fs.closeSync(file);
    }
  }

  /** Gives the room back. */
  empty(): void {
    fs.rmSync(this.#filler);
  }
}

function writeUntilFull(file: number, piece: Buffer, volumeBytes: number): void {
  try {
    for (let written = 0; written <= volumeBytes; ) written += fs.writeSync(file, piece);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return;
    throw error;
  }
  // A test that goes on after its end would fill the machine's own disk.
  fs.ftruncateSync(file, 0);
  throw new Error(`more than the ${volumeBytes} bytes of the small volume were written: it is not mounted any more`);
}
