/**
 * Those who wait for a stream to change. A stream that nobody watches listens to nothing.
 * @module
 */
import type { LogDoor } from "../replica/log-door.ts";

export class Watchers {
  #door: LogDoor | undefined;
  #listeners: Set<() => void> | undefined;
  #stopListening: (() => void) | undefined;

  /** The log is there: its commits wake them from now on. */
  attach(door: LogDoor): void {
    this.#door = door;
    if (this.#listeners !== undefined && this.#listeners.size > 0) this.#listen();
  }

  /** The log is not there any more. */
  detach(): void {
    this.#unlisten();
    this.#door = undefined;
  }

  /** Calls `listener` at each change, until the returned function is called. */
  add(listener: () => void): () => void {
    this.#listeners ??= new Set();
    const listeners = this.#listeners;
    // Wrapped, so that one function may watch twice.
    const entry = (): void => listener();
    listeners.add(entry);
    if (listeners.size === 1) this.#listen();
    return () => {
      if (listeners.delete(entry) && listeners.size === 0) this.#unlisten();
    };
  }

  readonly wake = (): void => {
    for (const listener of [...(this.#listeners ?? [])]) listener();
  };

  #listen(): void {
    this.#stopListening ??= this.#door?.onCommit(this.wake);
  }

  #unlisten(): void {
    this.#stopListening?.();
    this.#stopListening = undefined;
  }
}
