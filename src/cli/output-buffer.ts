const pieceBytes = 256 << 10;

/** Gathers bytes in large pieces, for few and large writes. */
export class OutputBuffer {
  #full: Uint8Array[] = [];
  #piece: Uint8Array = new Uint8Array(pieceBytes);
  #at = 0;
  #fullBytes = 0;

  get byteLength(): number {
    return this.#fullBytes + this.#at;
  }

  /** Adds a copy of `source[start, end)`. */
  add(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > this.#piece.length - this.#at) this.#next(length);
    this.#piece.set(source.subarray(start, end), this.#at);
    this.#at += length;
  }

  addByte(byte: number): void {
    if (this.#at === this.#piece.length) this.#next(1);
    this.#piece[this.#at++] = byte;
  }

  /** All that was added, in order; the buffer is empty then, and never touches these bytes again. */
  takeAll(): Uint8Array[] {
    if (this.#at > 0) this.#next(0);
    const all = this.#full;
    this.#full = [];
    this.#fullBytes = 0;
    return all;
  }

  /** Puts the piece aside; the next has room for `length` bytes. */
  #next(length: number): void {
    if (this.#at > 0) this.#full.push(this.#piece.subarray(0, this.#at));
    this.#fullBytes += this.#at;
    const left = this.#piece.subarray(this.#at);
    this.#piece = left.length > Math.max(length, pieceBytes / 4) ? left : new Uint8Array(Math.max(length, pieceBytes));
    this.#at = 0;
  }
}
