/**
 * Changes of a stream: trims, whoever asks for them, settings and fences. One at a time, in the order of the calls, so
 * that each sees what the one before it left.
 * @module
 */
import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { StreamSettings } from "../base/stream-settings.ts";
import type { AppendedBatch, LogDoor } from "../replica/log-door.ts";
import { FateUnknownError } from "../replica/replica-errors.ts";
import { explainNoRoom, settingsChanged, systemStream, trimPastEnd } from "./refusals.ts";
import { withUnknownFate } from "./routed-refusals.ts";
import { fillSettings, sameSettings } from "./settings.ts";
import type { StreamLog } from "./stream-log.ts";
import type { StreamChange } from "./stream-state.ts";

export class StreamChanges {
  readonly #log: StreamLog;
  #last: Promise<unknown> | undefined;

  constructor(log: StreamLog) {
    this.#log = log;
  }

  /** Gives readers nothing below `offset`; resolves with log start when the files are gone, too. */
  trim(offset: number): Promise<number> {
    return this.#inTurn("trimmed", () => this.#trim(offset));
  }

  /** Changes the settings that are given. */
  update(given: Partial<StreamSettings>, expectedVersion: number | undefined): Promise<void> {
    return this.#inTurn("changed", () => this.#update(given, expectedVersion));
  }

  /** Lets go what the settings do not keep any more at `nowMicros`. */
  retain(nowMicros: number): Promise<void> {
    return this.#inTurn("trimmed", () => this.#retain(nowMicros), false);
  }

  /** Sets the fence token; resolves with the next offset as of then. */
  fence(token: Uint8Array): Promise<number> {
    return this.#inTurn("fenced", () => this.#fence(token), false);
  }

  /** @param answersFromState What is known may be all that it is answered with: then it must be true now. */
  async #inTurn<T>(verb: string, change: () => Promise<T>, answersFromState = true): Promise<T> {
    const { name, isSystem } = this.#log;
    if (isSystem) throw systemStream(name, "name", verb);
    const changed = (this.#last ?? Promise.resolve()).then(async () => {
      await this.#log.ready();
      if (answersFromState) {
        await this.#log.door?.confirm();
        await this.#log.ready();
      }
      return change();
    });
    const last = changed.catch(() => {});
    this.#last = last;
    try {
      return await changed;
    } finally {
      // An idle stream keeps nothing.
      if (this.#last === last) this.#last = undefined;
    }
  }

  async #update(given: Partial<StreamSettings>, expectedVersion: number | undefined): Promise<void> {
    const log = this.#log;
    const { name } = log;
    const now = log.state.part.settings;
    if (expectedVersion !== undefined && expectedVersion !== now.version) {
      throw settingsChanged(name, expectedVersion, now);
    }
    const settings = fillSettings(given, now, log.home.limits);
    if (sameSettings(settings, now)) return;
    const what = `Cannot change the settings of stream "${name}"`;
    try {
      await log.make();
    } catch (error) {
      throw explainNoRoom(error, what, { stream: name });
    }
    await this.#append(log.opened(), { kind: "settings", settings: { ...settings, version: now.version + 1 } }, what);
  }

  async #fence(token: Uint8Array): Promise<number> {
    const log = this.#log;
    const { name } = log;
    const what = `Cannot fence stream "${name}"`;
    try {
      await log.make();
    } catch (error) {
      throw explainNoRoom(error, what, { stream: name });
    }
    const { baseOffset } = await this.#append(log.opened(), { kind: "fence", token: token.slice() }, what);
    return baseOffset;
  }

  async #trim(offset: number): Promise<number> {
    const log = this.#log;
    const { name, logStart: before, highWatermark, door } = log;
    if (offset > highWatermark) throw trimPastEnd(name, offset, { logStart: before, nextOffset: highWatermark });
    if (door === undefined) return before;
    const logStart = Math.max(offset, before);
    const baseIndex = await log.unlessDeleted(door.baseIndexFor(logStart));
    if (logStart === before && baseIndex <= door.baseIndex) return before;
    await this.#moveStart(door, { logStart, baseIndex });
    return log.logStart;
  }

  async #retain(nowMicros: number): Promise<void> {
    const log = this.#log;
    const { door } = log;
    if (door === undefined) return;
    if (door.leadership.kind !== "here") return door.want();
    const kept = await log.unlessDeleted(log.retention.kept(door, nowMicros));
    switch (kept.what) {
      case "all":
        return;
      case "some":
        return await this.#moveStart(door, { logStart: Math.max(kept.offset, log.logStart), baseIndex: kept.index });
      case "nothing":
        await this.#empty(door, kept.end);
        log.retention.emptied(door);
        return;
    }
  }

  /**
   * No record below `end` stays, up to which they are committed. The segment that grows goes, too: one is begun behind it.
   * Where records come meanwhile, they stay, and with them the segment that they are in.
   */
  async #empty(door: LogDoor, end: number): Promise<void> {
    const log = this.#log;
    let checkpoint: { index: number; offset: number } = await log.unlessDeleted(door.lastCheckpoint());
    if (log.logStart < end || checkpoint.offset < end) {
      const trim = { logStart: end, baseIndex: door.baseIndex };
      const { index, baseOffset: offset } = await this.#append(door, { kind: "trim", trim }, this.#trimming, true);
      log.watchers.wake();
      checkpoint = { index: index - 1, offset };
    }
    if (checkpoint.offset > log.logStart || checkpoint.index <= door.baseIndex) return;
    await this.#moveStart(door, { logStart: log.logStart, baseIndex: checkpoint.index });
  }

  async #moveStart(door: LogDoor, { logStart, baseIndex }: { logStart: number; baseIndex: number }): Promise<void> {
    const trim = { logStart, baseIndex: Math.max(baseIndex, door.baseIndex) };
    await this.#append(door, { kind: "trim", trim }, this.#trimming);
    this.#log.watchers.wake();
    if (baseIndex <= door.baseIndex) return;
    await this.#dropBefore(door, baseIndex);
    this.#log.retention.changed();
    this.#log.recount();
  }

  get #trimming(): string {
    return `Cannot trim stream "${this.#log.name}"`;
  }

  async #append(door: LogDoor, change: StreamChange, what: string, rolls = false): Promise<AppendedBatch> {
    const log = this.#log;
    try {
      const appended = await log.state.append(door, change, rolls);
      log.retention.changed();
      log.recount();
      return appended;
    } catch (error) {
      if (log.isDeleted) throw error instanceof FateUnknownError ? withUnknownFate(log.gone()) : log.gone();
      throw explainNoRoom(error, what, { stream: log.name });
    }
  }

  /** Trimmed it is, whatever becomes of the files: those that stay go with the next trim, or after the next start. */
  async #dropBefore(door: LogDoor, baseIndex: number): Promise<void> {
    try {
      await door.dropBefore(baseIndex);
    } catch (error) {
      const isLater = error instanceof NoRoomError || error instanceof TailraceError;
      if (!isLater && !this.#log.isDeleted && !this.#log.home.isStopped) throw error;
    }
  }
}
