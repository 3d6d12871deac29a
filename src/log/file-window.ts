import type { DiskFile } from "../host/disk.ts";

/** Reads a file from its beginning to its end in large pieces, so that small steps through it cost no call each. */
export class FileWindow {
  readonly #file: DiskFile;
  readonly #fileBytes: number;
  readonly #windowBytes: number;
  #window = new Uint8Array(0);
  #windowAt = 0;

  constructor(file: DiskFile, fileBytes: number, windowBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
    this.#windowBytes = windowBytes;
  }

  /** A view of these bytes, good until it moves on; `undefined`: the file ends before. */
  async bytesAt(position: number, length: number): Promise<Uint8Array | undefined> {
    if (position + length > this.#fileBytes) return undefined;
    const end = this.#windowAt + this.#window.length;
    if (position < this.#windowAt || position + length > end) {
      const window = new Uint8Array(Math.min(Math.max(length, this.#windowBytes), this.#fileBytes - position));
      const read = await this.#file.read(window, position);
      this.#window = window.subarray(0, read);
      this.#windowAt = position;
      if (read < length) return undefined;
    }
    return this.#window.subarray(position - this.#windowAt, position - this.#windowAt + length);
  }
}
