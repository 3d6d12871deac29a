/**
 * Logs of a node that is the only voter of all its groups.
 * Elsewhere: what each of them does (`lone-log.ts`).
 * @module
 */
import type { Limits } from "../base/limits.ts";
import { Slots } from "../base/slots.ts";
import type { DataFolder } from "../log/types.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint, encodeVoters } from "../wire/checkpoint.ts";
import type { LogDoor, LogDoors, LogOwner, NewLog, NewStream, StreamPart } from "./log-door.ts";
import { creationOf, pastOfCheckpoint } from "./log-past.ts";
import { LoneLog, type LoneNode } from "./lone-log.ts";

/** The logs of a data folder whose node is alone. */
export function loneLogs(folder: DataFolder, limits: Limits): LogDoors {
  return new LoneLogs(folder, limits.appendQueueMaxBytes);
}

/** Each takes an index, or makes one anew by reading a segment. */
const pastsAtOnce = 4;

class LoneLogs implements LogDoors {
  readonly isAlone = true;
  readonly #folder: DataFolder;
  readonly #node: LoneNode;

  constructor(folder: DataFolder, waitingMaxBytes: number) {
    this.#folder = folder;
    this.#node = { diskId: folder.diskId, waitingMaxBytes, waitingBytes: 0, pasts: new Slots(pastsAtOnce) };
  }

  groups(): Iterable<number> {
    return this.#folder.groups();
  }

  async prepare(): Promise<void> {}

  isHere(group: number): boolean {
    return this.#folder.log(group) !== undefined;
  }

  open({ id }: Pick<StoredStream, "id">, owner: LogOwner): LogDoor | undefined {
    const log = this.#folder.log(id);
    return log === undefined ? undefined : new LoneLog(log, owner, this.#node);
  }

  describeNew(part: StreamPart, startOffset: number): NewStream {
    const voters = [{ diskId: this.#node.diskId, life: 0 }];
    return { creation: creationOf(part, startOffset, voters), nodes: [] };
  }

  holds(): boolean {
    return true;
  }

  create({ group, creation, appendTimeMicros }: NewLog, owner: LogOwner): { door: LogDoor; made: Promise<void> } {
    const checkpointState = creation.checkpoint.subarray(checkpointPrefixBytes);
    const checkpoint = decodeCheckpoint(checkpointState);
    const past = pastOfCheckpoint(group, checkpoint, this.#node.diskId);
    const { log, made } = this.#folder.create({
      group,
      checkpointState,
      startOffset: creation.startOffset,
      appendTimeMicros,
      note: encodeVoters(checkpoint.voters),
    });
    return { door: new LoneLog(log, owner, this.#node, { past, made }), made };
  }

  /** Its end in the catalogue is enough where nobody else appends. */
  async close(): Promise<void> {}

  remove(group: number): Promise<void> {
    return this.#folder.remove(group);
  }

  leave({ id }: Pick<StoredStream, "id">): Promise<void> {
    return Promise.reject(new Error(`group ${id} can't be moved away from a node that is alone`));
  }

  known(): void {}
}
