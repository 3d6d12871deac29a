/**
 * What a disk does to files.
 * @module
 */
import * as fs from "node:fs";

/** One bit of a byte is another. */
export function flipByte(file: string, at: number): void {
  const handle = fs.openSync(file, "r+");
  const byte = new Uint8Array(1);
  fs.readSync(handle, byte, 0, 1, at);
  fs.writeSync(
    handle,
    byte.map((value) => value ^ 1),
    0,
    1,
    at,
  );
  fs.closeSync(handle);
}
