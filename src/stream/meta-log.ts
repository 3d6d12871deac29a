/**
 * `_meta`, the log that the catalogue is: making it, reading the catalogue from it as it is committed, whoever appended,
 * and changing the catalogue by appending to it. Changes may be on their way together; they count in the order of their places.
 * @module
 */
import { present } from "../base/assert.ts";
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { DataFolderError, NoRoomError } from "../base/disk-errors.ts";
import { emptyPart, type LogDoor, type LogDoors, type LogOwner, type StreamPart } from "../replica/log-door.ts";
import { decodeStoredCheckpoint } from "../replica/log-past.ts";
import { decodeMetaChange, encodeMetaChange, type MetaChange, noneChosen } from "../wire/catalogue.ts";
import { Catalogue, type CatalogueEvent, differences } from "./catalogue.ts";
import { builtInSettings } from "./settings.ts";

/** Name of the system's own stream, and the group that its log is. */
export const metaName = "_meta";
export const metaGroup = 0;

/** Bytes of `_meta` that a start reads at a time. */
const rebuildReadBytes = 1 << 20;

/** What a first start needs. */
export interface MetaBirth {
  /** 16 random bytes. */
  readonly clusterId: () => Uint8Array;
  readonly nowMicros: () => number;
}

/** Who is told of what became of the catalogue. */
export interface MetaListener {
  /** Changes were committed, in this order. */
  changed(events: readonly CatalogueEvent[]): void;
  /** Want of files keeps it from being followed for now: `again` is to be called a little later. */
  delayed(again: () => void): void;
  /** The catalogue can't be followed any more: the node is to end. */
  broken(error: unknown): void;
}

/** The log of the catalogue. */
export class MetaLog {
  readonly door: LogDoor;
  readonly part: StreamPart;
  /** Append time of the first batch that it has. */
  readonly createdMicros: number;
  readonly #owner: MetaOwner;
  #listener: MetaListener | undefined;
  readonly #waiting = new Set<() => void>();
  #isReading = false;
  #stop: () => void = () => {};

  private constructor(door: LogDoor, owner: MetaOwner, part: StreamPart, createdMicros: number) {
    this.door = door;
    this.part = part;
    this.createdMicros = createdMicros;
    this.#owner = owner;
  }

  /**
   * Opens `_meta`; a folder without any group gets one.
   * @throws {DataFolderError} It is missing, or holds what this version does not know.
   */
  static async open(logs: LogDoors, birth: MetaBirth): Promise<MetaLog> {
    const owner = new MetaOwner();
    const door = logs.open({ id: metaGroup, nodes: [] }, owner) ?? (await make(logs, owner, birth));
    const checkpoint = await committedCheckpoint(door);
    const part = decodeStoredCheckpoint(checkpoint);
    owner.part = part;
    owner.catalogue = catalogueOf(checkpoint);
    const base = await checkpointAt(door, door.baseIndex);
    const meta = new MetaLog(door, owner, part, base?.appendTimeMicros ?? checkpoint.appendTimeMicros);
    await meta.#readOn();
    return meta;
  }

  /** What is committed of it, as far as it was read. */
  get catalogue(): Catalogue {
    return this.#owner.catalogueOfNow;
  }

  /** Tells `listener` of all that comes from now on. */
  follow(listener: MetaListener): void {
    this.#listener = listener;
    this.#stop = this.door.onCommit(() => this.#read());
    this.#read();
  }

  /** Follows it no more. */
  stop(): void {
    this.#stop();
    this.#listener = undefined;
  }

  /** Appends a change; resolves with its index when it is committed and was judged: it may have changed nothing. */
  async append(change: MetaChange): Promise<number> {
    const { index } = await this.door.append({
      kind: BatchKind.records,
      payload: encodeMetaChange(change),
      recordCount: 1,
      frees: change.kind === "deleted" || change.kind === "deleting",
      stamped: (place, micros) => this.catalogue.place(change, place, micros),
    });
    await this.reached(index + 1);
    return index;
  }

  /** Resolves once all changes below an index are in the catalogue. */
  async reached(end: number): Promise<void> {
    while (this.catalogue.end < end) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        this.#read();
      });
    }
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#readOn().then(
      () => {
        this.#isReading = false;
        // What was committed while the last of it was told.
        if (this.catalogue.end < this.door.commit.index) this.#read();
      },
      (error: unknown) => {
        this.#isReading = false;
        if (error instanceof NoRoomError) this.#listener?.delayed(() => this.#read());
        else this.#listener?.broken(error);
      },
    );
  }

  /** Reads up to what is committed. */
  async #readOn(): Promise<void> {
    const { door } = this;
    while (this.catalogue.end < door.commit.index) {
      const { catalogue } = this;
      const from = catalogue.end;
      if (from < door.baseIndex) {
        await this.#restart();
        continue;
      }
      const request = { from: { index: from }, belowIndex: door.commit.index, maxBytes: rebuildReadBytes };
      const batches = await door.read(request);
      // The log may have begun anew under the reading.
      if (batches[0]?.index !== from) {
        if (from < door.baseIndex) continue;
        throw unreadable(`it ends at index ${from}, before ${door.commit.index}`);
      }
      this.#tell(batches.flatMap((batch) => applied(catalogue, batch)));
    }
  }

  /** The log began anew at a checkpoint: what lies between is known by the difference only. */
  async #restart(): Promise<void> {
    const checkpoint = await checkpointAt(this.door, this.door.baseIndex);
    if (!checkpoint) return;
    const before = this.catalogue;
    this.#owner.catalogue = catalogueOf(checkpoint);
    this.#tell(differences(before, this.catalogue));
  }

  #tell(events: readonly CatalogueEvent[]): void {
    this.#listener?.changed(events);
    for (const wake of [...this.#waiting]) {
      this.#waiting.delete(wake);
      wake();
    }
  }
}

class MetaOwner implements LogOwner {
  part: StreamPart | undefined;
  catalogue: Catalogue | undefined;
  /** How often what it knows of what is on its way was forgotten. */
  #forgotten = 0;

  get catalogueOfNow(): Catalogue {
    return present(this.catalogue, "_meta is read before it is used");
  }

  /** It is read by who opens it. */
  restored(): void {}

  restoring(): void {
    this.#forgotten += 1;
    this.catalogue?.forget();
  }

  produced(): void {}

  /** This node leads: what is not committed yet will be, and a checkpoint must tell of it. */
  async recalling(door: Pick<LogDoor, "read">, belowIndex: number): Promise<void> {
    const catalogue = this.catalogueOfNow;
    const forgotten = this.#forgotten;
    for (let next = catalogue.end; next < belowIndex; ) {
      const batches = await door.read({ from: { index: next }, belowIndex, maxBytes: rebuildReadBytes });
      if (this.#forgotten !== forgotten) return;
      for (const batch of batches) {
        next = batch.index + 1;
        if (batch.kind === BatchKind.records) catalogue.place(changeIn(batch), batch.index, batch.appendTimeMicros);
      }
      if (batches.length === 0) throw unreadable(`it ends at index ${next}, before ${belowIndex}`);
    }
  }

  checkpointPart(index: number): StreamPart {
    return { ...present(this.part, "_meta is read before it is used"), catalogue: this.catalogueOfNow.asOf(index) };
  }
}

/** The newest checkpoint that is surely committed. */
async function committedCheckpoint(door: LogDoor): Promise<StoredBatch> {
  const { index } = await door.lastCheckpoint();
  const at = index < door.commit.index ? index : door.baseIndex;
  const checkpoint = await checkpointAt(door, at);
  if (!checkpoint) throw unreadable(`its checkpoint at index ${at} is missing`);
  return checkpoint;
}

async function checkpointAt(door: LogDoor, index: number): Promise<StoredBatch | undefined> {
  const [checkpoint] = await door.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
  return checkpoint?.index === index ? checkpoint : undefined;
}

function catalogueOf(checkpoint: StoredBatch): Catalogue {
  const { catalogue } = decodeStoredCheckpoint(checkpoint);
  if (catalogue === undefined) throw unreadable(`its checkpoint at index ${checkpoint.index} has no catalogue`);
  return new Catalogue(catalogue, checkpoint.index + 1);
}

function applied(catalogue: Catalogue, batch: StoredBatch): CatalogueEvent[] {
  const { kind, index, appendTimeMicros } = batch;
  if (kind === BatchKind.records) return catalogue.commit(changeIn(batch), index, appendTimeMicros);
  catalogue.passed(index + 1);
  return [];
}

function changeIn({ index, payload }: StoredBatch): MetaChange {
  const change = decodeMetaChange(payload);
  if (change === undefined) throw unreadable(`its batch at index ${index} is of a kind that is not known here`);
  return change;
}

async function make(logs: LogDoors, owner: LogOwner, { clusterId, nowMicros }: MetaBirth): Promise<LogDoor> {
  for (const group of logs.groups()) throw unreadable(`the folder has group ${group}, but not ${metaName}, group 0`);
  const part: StreamPart = {
    name: metaName,
    settings: { version: 1, ...builtInSettings },
    ...emptyPart,
    catalogue: { clusterId: clusterId(), streams: [], chosen: noneChosen },
  };
  const { creation } = logs.describeNew(part, 0);
  const { door, made } = logs.create({ group: metaGroup, creation, appendTimeMicros: nowMicros() }, owner);
  await made;
  return door;
}

function unreadable(why: string): DataFolderError {
  const todo = "Start the node with the version of tailrace that wrote the folder, or restore the folder from a copy";
  return new DataFolderError(`Cannot read the catalogue of streams in ${metaName}: ${why}`, todo);
}
