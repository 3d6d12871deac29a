/**
 * `_meta`, the log that the catalogue is: making it, reading the catalogue back from it, and changing the catalogue by
 * appending to it. Changes may be on their way together; they count in the order of their places.
 * @module
 */
import { present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import { emptyPart, type LogDoor, type LogDoors, type LogOwner, type StreamPart } from "../replica/log-door.ts";
import { decodeMetaChange, encodeMetaChange, type MetaChange } from "../wire/catalogue.ts";
import { Catalogue } from "./catalogue.ts";
import { builtInSettings } from "./settings.ts";

/** Name of the system's own stream, and the group that its log is. */
const metaName = "_meta";
export const metaGroup = 0;

/** Bytes of `_meta` that a start reads at a time. */
const rebuildReadBytes = 1 << 20;

/** What a first start needs. */
export interface MetaBirth {
  /** 16 random bytes. */
  readonly clusterId: () => Uint8Array;
  readonly nowMicros: () => number;
}

/** The log of the catalogue. */
export class MetaLog {
  readonly door: LogDoor;
  readonly catalogue: Catalogue;
  readonly part: StreamPart;
  /** Append time of its first batch. */
  readonly createdMicros: number;

  private constructor(door: LogDoor, catalogue: Catalogue, part: StreamPart, createdMicros: number) {
    this.door = door;
    this.catalogue = catalogue;
    this.part = part;
    this.createdMicros = createdMicros;
  }

  /**
   * Opens `_meta`; a folder without any group gets one.
   * @throws {DataFolderError} It is missing, or holds what this version does not know.
   */
  static async open(logs: LogDoors, birth: MetaBirth): Promise<MetaLog> {
    const owner = new MetaOwner();
    const door = logs.open(metaGroup, owner) ?? (await make(logs, owner, birth));
    const { index, part } = await door.lastCheckpoint();
    const stored = part.catalogue;
    if (stored === undefined) throw unreadable(`its checkpoint at index ${index} has no catalogue`);
    const catalogue = new Catalogue(stored);
    await replay(door, index + 1, catalogue);
    owner.state = { part, catalogue };
    const [first] = await door.read({ from: { index: 0 }, belowIndex: door.commit.index, maxBytes: 1 });
    if (first === undefined) throw unreadable("its first batch is missing");
    return new MetaLog(door, catalogue, part, first.appendTimeMicros);
  }

  /** Appends a change; resolves with its index when it is committed and in the catalogue. */
  async append(change: MetaChange): Promise<number> {
    const { catalogue } = this;
    try {
      const { index, appendTimeMicros } = await this.door.append({
        kind: BatchKind.records,
        payload: encodeMetaChange(change),
        recordCount: 1,
        frees: change.kind === "deleted",
        stamped: (place, micros) => catalogue.place(change, place, micros),
      });
      catalogue.commit(change, index, appendTimeMicros);
      return index;
    } catch (error) {
      catalogue.unplace(change);
      throw error;
    }
  }
}

class MetaOwner implements LogOwner {
  state: { part: StreamPart; catalogue: Catalogue } | undefined;

  /** It is read by who opens it. */
  restored(): void {}

  restoring(): void {}

  produced(): void {}

  checkpointPart(index: number): StreamPart {
    const { part, catalogue } = present(this.state, "_meta is read before it is appended to");
    return { ...part, catalogue: catalogue.asOf(index) };
  }
}

async function make(logs: LogDoors, owner: LogOwner, { clusterId, nowMicros }: MetaBirth): Promise<LogDoor> {
  for (const group of logs.groups()) throw unreadable(`the folder has group ${group}, but not ${metaName}, group 0`);
  const part: StreamPart = {
    name: metaName,
    settings: { version: 1, ...builtInSettings },
    ...emptyPart,
    catalogue: { clusterId: clusterId(), streams: [] },
  };
  const creation = logs.describeNew(part, 0);
  const { door, made } = logs.create({ group: metaGroup, creation, appendTimeMicros: nowMicros() }, owner);
  await made;
  return door;
}

async function replay(door: LogDoor, startIndex: number, catalogue: Catalogue): Promise<void> {
  const belowIndex = door.commit.index;
  let next = startIndex;
  while (next < belowIndex) {
    const batches = await door.read({ from: { index: next }, belowIndex, maxBytes: rebuildReadBytes });
    for (const { kind, index, payload, appendTimeMicros } of batches) {
      next = index + 1;
      if (kind !== BatchKind.records) continue;
      const change = decodeMetaChange(payload);
      if (change === undefined) throw unreadable(`its batch at index ${index} is of a kind that is not known here`);
      catalogue.commit(change, index, appendTimeMicros);
    }
    if (batches.length === 0) throw unreadable(`it ends at index ${next}, before ${belowIndex}`);
  }
}

function unreadable(why: string): DataFolderError {
  const todo = "Start the node with the version of tailrace that wrote the folder, or restore the folder from a copy";
  return new DataFolderError(`Cannot read the catalogue of streams in ${metaName}: ${why}`, todo);
}
