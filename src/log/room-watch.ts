/**
 * Watches the free space of the volume: appends leave a reserve, so that what frees space always has room.
 * @module
 */
import { NoRoomError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk, DiskSpace } from "../host/disk.ts";

const lookEveryMs = 500;
const gibibyte = 1 << 30;

/** Knows, at most half a second late, whether appends have room. */
export class RoomWatch {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #reserve: number;
  readonly #failed: (error: Error) => void;
  #space: DiskSpace | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking = false;

  constructor(disk: Disk, clock: Clock, path: string, reserve: number, failed: (error: Error) => void) {
    this.#disk = disk;
    this.#clock = clock;
    this.#path = path;
    this.#reserve = reserve;
    this.#failed = failed;
  }

  /** Called at each look. */
  onLook: () => void = () => {};

  /** The refusal of an append now, while `unflushedBytes` still have to be moved to segments. */
  refusal(unflushedBytes: number): NoRoomError | undefined {
    if (this.#clock.monotonicMs() - this.#lookedMs >= lookEveryMs && !this.#looking) {
      this.look().catch((error: Error) => this.#failed(error));
    }
    if (!this.#space) return undefined;
    const { freeBytes, totalBytes } = this.#space;
    const reserveBytes = Math.max(totalBytes * this.#reserve, totalBytes >= gibibyte ? gibibyte / 16 : 0);
    if (freeBytes - unflushedBytes >= reserveBytes) return undefined;
    const kept = Math.ceil(reserveBytes);
    return new NoRoomError(
      `${freeBytes} bytes are free on the volume of ${this.#path}, of which ${unflushedBytes} are for what only the ` +
        `journal has yet, and free_space_reserve keeps ${kept}`,
      "free_space_reserve",
    );
  }

  /** Looks now. */
  async look(): Promise<void> {
    this.#looking = true;
    try {
      this.#space = await this.#disk.space(this.#path);
      this.onLook();
      this.#lookedMs = this.#clock.monotonicMs();
    } finally {
      this.#looking = false;
    }
  }
}
