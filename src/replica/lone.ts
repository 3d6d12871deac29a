/**
 * Logs of a node that is the only voter of all its groups.
 * Elsewhere: what each of them does (`lone-log.ts`).
 * @module
 */
import type { Limits } from "../base/limits.ts";
import { Slots } from "../base/slots.ts";
import type { DataFolder } from "../log/types.ts";
import type { StoredCreation } from "../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint, encodeCheckpoint, encodeVoters } from "../wire/checkpoint.ts";
import type { LogDoor, LogDoors, LogOwner, NewLog, StreamPart } from "./log-door.ts";
import { pastOfCheckpoint } from "./log-past.ts";
import { LoneLog, type LoneNode } from "./lone-log.ts";

/** The logs of a data folder whose node is alone. */
export function loneLogs(folder: DataFolder, limits: Limits): LogDoors {
  return new LoneLogs(folder, limits.appendQueueMaxBytes);
}

/** Each takes an index, or makes one anew by reading a segment. */
const pastsAtOnce = 4;

class LoneLogs implements LogDoors {
  readonly #folder: DataFolder;
  readonly #node: LoneNode;

  constructor(folder: DataFolder, waitingMaxBytes: number) {
    this.#folder = folder;
    this.#node = { diskId: folder.diskId, waitingMaxBytes, waitingBytes: 0, pasts: new Slots(pastsAtOnce) };
  }

  groups(): Iterable<number> {
    return this.#folder.groups();
  }

  open(group: number, owner: LogOwner): LogDoor | undefined {
    const log = this.#folder.log(group);
    return log === undefined ? undefined : new LoneLog(log, owner, this.#node);
  }

  describeNew(part: StreamPart, startOffset: number): StoredCreation {
    const voters = [{ diskId: this.#node.diskId, life: 0 }];
    const state = encodeCheckpoint({ ...part, voters, termStarts: [] });
    // Term and digest of the batch before batch 0 are zeros.
    const checkpoint = new Uint8Array(checkpointPrefixBytes + state.length);
    checkpoint.set(state, checkpointPrefixBytes);
    return { name: part.name, startOffset, checkpoint };
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

  remove(group: number): Promise<void> {
    return this.#folder.remove(group);
  }
}
