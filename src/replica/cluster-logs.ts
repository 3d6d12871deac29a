/**
 * Logs of a node that is one of a cluster, or that may become one. The catalogue says which groups it has; each takes part
 * in replication as soon as it is durable here and read.
 * Elsewhere: what each of them does (`cluster-log.ts`), terms and votes (`raft-driver.ts`), a node alone (`lone.ts`).
 * @module
 */
import { sameBytes } from "../base/bytes.ts";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import { Slots } from "../base/slots.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { DataFolder, GroupLog, NewGroup } from "../log/types.ts";
import { isCaughtUp } from "../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId, replicaId } from "../raft/types.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { checkpointPrefixBytes, decodeCheckpoint, decodeVoters, encodeVoters } from "../wire/checkpoint.ts";
import { ClusterLog } from "./cluster-log.ts";
import { hexOf, replicaOf } from "./core-batch.ts";
import type { LogDoor, LogDoors, LogOwner, NewLog, NewStream, StreamPart } from "./log-door.ts";
import { creationOf } from "./log-past.ts";
import type { RaftDriver } from "./raft-driver.ts";
import { isDamaged } from "./replica-errors.ts";
import type { ReplicaGroup } from "./replica-group.ts";

/** What they stand on. */
export interface ClusterLogsOptions {
  readonly driver: RaftDriver;
  readonly folder: DataFolder;
  /** It has a replica of every stream. */
  readonly isObserver: boolean;
  /** Nodes for a new stream, voters of `_meta` all, the one that is to lead first. */
  readonly place: (settings: VersionedSettings) => readonly NodeId[];
  /** Ends a log for good, whichever node leads it; `door`: where it is here. */
  readonly endLog: (group: number, door: ClusterLog | undefined) => Promise<void>;
  /** Told that a group's log was damaged and begins a new life. */
  readonly renewed: (group: number) => void;
  /** Told that the log of a stream was removed, which was moved away. */
  readonly left: (stream: StoredStream) => void;
}

/** Groups that are read for their opening at once. */
const openingsAtOnce = 8;
/** How long after want of files for that it is tried again, milliseconds. */
const openAgainMs = 100;
/** How long a group exists before its first voter stands for election, milliseconds. */
const firstElectionMs = 25;
/** The group of `_meta`, whose voters are the cluster's. */
const metaGroup = 0;

export class ClusterLogs implements LogDoors {
  readonly isAlone = false;
  readonly #options: ClusterLogsOptions;
  readonly #doors = new Map<number, ClusterLog>();
  /** Groups that are here and take no part yet. */
  readonly #opening = new Set<number>();
  readonly #removing = new Map<number, Promise<void>>();
  /** Groups whose logs are being let go, since their streams were moved away, or begin anew. */
  readonly #leaving = new Map<number, Promise<void>>();
  readonly #slots = new Slots(openingsAtOnce);
  #known = 0;
  #wasCatalogueKnown = false;

  constructor(options: ClusterLogsOptions) {
    this.#options = options;
  }

  groups(): Iterable<number> {
    return this.#options.folder.groups();
  }

  /** The log of a group, if it is here. */
  door(group: number): ClusterLog | undefined {
    return this.#doors.get(group);
  }

  /** All that are here. */
  doors(): Iterable<ClusterLog> {
    return this.#doors.values();
  }

  async prepare(streams: Iterable<StoredStream>): Promise<void> {
    const { folder, renewed } = this.#options;
    for (const stream of streams) {
      if (!this.#isToBeRenewed(stream)) continue;
      const { id } = stream;
      const renewing = folder.renew(groupOf(stream)).then(() => renewed(id));
      // Who removes it waits: a log ends once.
      const leaving = renewing.finally(() => this.#leaving.delete(id));
      this.#leaving.set(id, leaving);
      await leaving;
    }
  }

  isHere(group: number): boolean {
    return this.#options.folder.log(group) !== undefined;
  }

  open(stream: Pick<StoredStream, "id" | "nodes">, owner: LogOwner): LogDoor | undefined {
    const log = this.#options.folder.log(stream.id);
    if (log === undefined || this.#leaving.has(stream.id) || this.#rests(stream)) return undefined;
    if (this.#isToBeRenewed(stream)) {
      this.#opening.add(stream.id);
      return undefined;
    }
    const made = Promise.resolve();
    const { replica, door } = this.#add(log, owner, made);
    this.#start(replica, made).catch((error: unknown) => {
      if (isDamaged(error) && this.#doors.get(stream.id) === door && this.#isToBeRenewed(stream)) {
        this.#lose(door);
        owner.lost?.();
      } else this.#unexpected(error);
    });
    return door;
  }

  describeNew(part: StreamPart, startOffset: number): NewStream {
    const nodes = this.#options.place(part.settings);
    const members = this.#options.driver.core.group(metaGroup)?.log.voters ?? [];
    const voters = nodes.flatMap((node) => {
      const member = members.findLast((voter) => nodeOf(voter) === node);
      return member === undefined ? [] : [{ ...replicaOf(member), life: 0 }];
    });
    return { creation: creationOf(part, startOffset, voters), nodes };
  }

  holds({ id, nodes, creation }: Pick<StoredStream, "id" | "nodes" | "creation">): boolean {
    const { folder } = this.#options;
    if (this.#isPlacedHere(nodes)) return true;
    if (folder.log(id) !== undefined) return !this.#rests({ id, nodes });
    if (nodes.length > 0) return false;
    // It was created by a node that was alone.
    const { voters } = decodeCheckpoint(creation.checkpoint.subarray(checkpointPrefixBytes));
    return voters.some(({ diskId }) => sameBytes(diskId, folder.diskId));
  }

  create(log: NewLog, owner: LogOwner): { door: LogDoor; made: Promise<void> } {
    const { folder, driver } = this.#options;
    const { log: created, made } = folder.create(newGroup(log));
    const { replica, door } = this.#add(created, owner, made);
    const opened = this.#start(replica, made);
    opened.then(
      () => this.#lead(replica),
      () => {
        if (this.#doors.get(log.group) !== door) return;
        this.#doors.delete(log.group);
        driver.closeGroup(log.group);
      },
    );
    return { door, made: opened };
  }

  /** Nobody leads a new group: its first voter stands at once, when the others have had the time to make it. */
  #lead({ group, self, state }: ReplicaGroup): void {
    const { driver } = this.#options;
    if (state?.term !== 0 || state.log.voters[0] !== self || state.log.voters.length === 1) return;
    driver.options.clock.after(firstElectionMs, () =>
      driver.called(driver.options.node, [{ kind: "stepUp", group, term: 0, from: self, to: self }]),
    );
  }

  close(group: number): Promise<void> {
    return this.#options.endLog(group, this.#doors.get(group));
  }

  remove(group: number): Promise<void> {
    const begun = this.#removing.get(group);
    if (begun) return begun;
    const removing = this.#remove(group).finally(() => this.#removing.delete(group));
    this.#removing.set(group, removing);
    return removing;
  }

  async leave(stream: StoredStream): Promise<void> {
    const { driver } = this.#options;
    const { id } = stream;
    const begun = this.#leaving.get(id);
    if (begun) return await begun;
    this.#doors.get(id)?.close();
    this.#doors.delete(id);
    driver.closeGroup(id, "the stream was moved away");
    const leaving = this.#leave(stream).finally(() => this.#leaving.delete(id));
    this.#leaving.set(id, leaving);
    await leaving;
  }

  known(belowIndex: number): void {
    this.#known = Math.max(this.#known, belowIndex);
    this.#tellKnown();
  }

  #add(log: GroupLog, owner: LogOwner, made?: Promise<void>): { replica: ReplicaGroup; door: ClusterLog } {
    const replica = this.#options.driver.add(log, this.#self(log));
    const { isObserver } = this.#options;
    const door = new ClusterLog(replica, owner, { isObserver, ...(made && { made }) });
    this.#doors.set(log.group, door);
    return { replica, door };
  }

  /** What a lone voter has, nobody else does: it stays as it is, and so does one whose stream is placed elsewhere and not there yet. */
  #isToBeRenewed({ id, nodes }: Pick<StoredStream, "id" | "nodes">): boolean {
    const log = this.#options.folder.log(id);
    const isGoing = this.#leaving.has(id) || this.#removing.has(id);
    return nodes.length > 1 && !isGoing && log?.damage !== undefined && !this.#isLoneVoter(log);
  }

  #isLoneVoter({ note, life }: GroupLog): boolean {
    const [voter, ...others] = decodeVoters(note);
    if (voter === undefined || others.length > 0) return false;
    return voter.life === life && sameBytes(voter.diskId, this.#options.folder.diskId);
  }

  #isPlacedHere(nodes: readonly NodeId[]): boolean {
    const { driver, isObserver } = this.#options;
    return isObserver || nodes.includes(driver.options.node);
  }

  /**
   * Whether all that is here of a stream is the life of its replica, kept in the journal by batch 0: its log was let go, or begins
   * anew. Batch 0 names first lives only, so that nobody who goes by it votes for a later one: it takes no part until the stream
   * is known to be placed here.
   */
  #rests({ id, nodes }: Pick<StoredStream, "id" | "nodes">): boolean {
    const log = this.#options.folder.log(id);
    if (id === metaGroup || log === undefined || log.life === 0 || log.durableEnd.index > 1) return false;
    return !this.#isCatalogueKnown() || (nodes.length > 0 && !this.#isPlacedHere(nodes));
  }

  /** Whether the catalogue was ever known as others know it: after a start it may say where a stream was placed once. */
  #isCatalogueKnown(): boolean {
    const meta = this.#options.driver.core.group(metaGroup);
    this.#wasCatalogueKnown ||= meta !== undefined && isCaughtUp(meta) && this.#known >= meta.log.commit;
    return this.#wasCatalogueKnown;
  }

  #self({ life }: GroupLog): ReplicaId {
    const { driver, folder } = this.#options;
    return replicaId(driver.options.node, hexOf(folder.diskId), life);
  }

  /** Reads what is needed to take part once the log is there, and takes part. */
  async #start(replica: ReplicaGroup, made: Promise<void>): Promise<void> {
    const { group } = replica;
    this.#opening.add(group);
    try {
      await made;
      await this.#takePart(replica);
    } finally {
      this.#opening.delete(group);
      this.#tellKnown();
    }
  }

  /** Damage to what a start reads would never be mended: who takes no part asks nobody for it. The log begins anew instead. */
  #lose(door: ClusterLog): void {
    const { group } = door;
    door.close();
    this.#doors.delete(group);
    this.#options.driver.closeGroup(group, "its log is damaged");
    this.#opening.add(group);
    this.#tellKnown();
  }

  /** What is read for it needs files, and want of those passes. */
  async #takePart(replica: ReplicaGroup): Promise<void> {
    const { driver } = this.#options;
    for (;;) {
      await this.#slots.acquire();
      try {
        return await driver.open(replica);
      } catch (error) {
        const isWanted = driver.group(replica.group) === replica && !driver.isStopped;
        if (!(error instanceof NoRoomError) || !isWanted) throw error;
      } finally {
        this.#slots.release();
      }
      await new Promise<void>((resolve) => driver.options.clock.after(openAgainMs, resolve));
    }
  }

  /** Its replica's name is never used again: made anew under it, it would have forgotten what it promised. */
  async #leave(stream: StoredStream): Promise<void> {
    const { folder, left } = this.#options;
    await folder.renew(groupOf(stream), "its stream was moved away from this node");
    left(stream);
  }

  async #remove(group: number): Promise<void> {
    const { driver, folder } = this.#options;
    this.#doors.delete(group);
    driver.closeGroup(group);
    // One that waited to begin anew never will.
    this.#opening.delete(group);
    this.#tellKnown();
    // If there was no room for that, there may be for this.
    await this.#leaving.get(group)?.catch(() => {});
    if (folder.log(group) !== undefined) await folder.remove(group);
  }

  /** One that is not open yet is not gone. */
  #tellKnown(): void {
    let below = this.#known;
    for (const group of this.#opening) below = Math.min(below, group);
    this.#options.driver.feed({ kind: "known", below });
  }

  /** A log that is damaged, or that closes, takes no part; what the disk says the data folder tells the node. */
  #unexpected(error: unknown): void {
    if (error instanceof TailraceError || error instanceof DiskError || error instanceof NoRoomError) return;
    this.#options.driver.broken(error);
  }
}

/** The group of a stream that the catalogue has. */
function groupOf(stream: StoredStream): NewGroup {
  return newGroup({ ...stream, group: stream.id, appendTimeMicros: stream.createdMicros });
}

/** The group that a creation tells of. */
export function newGroup({ group, creation, appendTimeMicros }: NewLog): NewGroup {
  const checkpointState = creation.checkpoint.subarray(checkpointPrefixBytes);
  const { voters } = decodeCheckpoint(checkpointState);
  const { startOffset } = creation;
  return { group, checkpointState, startOffset, appendTimeMicros, note: encodeVoters(voters) };
}
