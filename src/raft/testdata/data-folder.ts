/**
 * One node's disk: what is written waits, in order, until it is synced. A crash leaves what was synced, and only that.
 * @module
 */
import { present } from "../../base/assert.ts";
import type { OpenedGroup } from "../group.ts";
import type { Effect } from "../turn.ts";
import { type Batch, type ReplicaId, replicaId } from "../types.ts";
import { forged, openedLog } from "./batches.ts";

type Promises = Omit<Extract<Effect, { kind: "save" }>, "kind" | "group">;

/** What is kept of a group. */
interface Kept {
  readonly life: number;
  readonly promises: Promises;
  readonly log: readonly Batch[];
  /** The commit index that was known when something was last synced. */
  readonly commit: number;
}

/** Something that was written, and is not durable before it is synced. */
export type Write =
  | { readonly kind: "save"; readonly group: number; readonly promises: Promises }
  | {
      readonly kind: "append";
      readonly group: number;
      readonly generation: number;
      readonly batches: readonly Batch[];
    }
  | { readonly kind: "cut"; readonly group: number; readonly index: number }
  | { readonly kind: "install"; readonly group: number; readonly generation: number; readonly checkpoint: Batch }
  | { readonly kind: "base"; readonly group: number; readonly index: number };

const noPromises: Promises = { term: 0, votedFor: null, floor: { term: 0, index: -1 } };

/** A data folder. */
export class DataFolder {
  readonly disk: string;
  incarnation = 0;
  readonly #groups = new Map<number, Kept>();
  readonly #pending: Write[] = [];
  /** Syncs take as long as the script wants. */
  isHeld = false;

  constructor(disk: string) {
    this.disk = disk;
  }

  /** Makes a group from its first batch, as the cluster's own log gives it. */
  make(group: number, first: Batch): void {
    this.#groups.set(group, { life: 0, promises: noPromises, log: [first], commit: 1 });
  }

  /** A group's log was lost on this disk; what was promised is still known. */
  lose(group: number, first: Batch): void {
    const { life, promises } = this.#kept(group);
    this.#groups.set(group, {
      life: life + 1,
      promises: { ...noPromises, term: promises.term },
      log: [first],
      commit: 1,
    });
  }

  /** A replica gives up what it holds from an index on, and knows that it did. */
  discard(group: number, index: number): void {
    const { log, promises } = this.#kept(group);
    const { term, index: last } = present(log.at(-1), "a log has a batch");
    this.rollBack(group, index);
    this.#groups.set(group, { ...this.#kept(group), promises: { ...promises, floor: { term, index: last } } });
  }

  /** An older state of a log is put back, and nobody is told. */
  rollBack(group: number, index: number): void {
    const kept = this.#kept(group);
    const log = kept.log.filter((batch) => batch.index < index);
    this.#groups.set(group, { ...kept, log, commit: Math.min(kept.commit, index) });
  }

  /** The log from a batch on becomes another one, which fits itself. */
  forge(group: number, index: number, text: string): void {
    const { log } = this.#kept(group);
    const kept = log.filter((batch) => batch.index < index);
    const last = present(kept.at(-1), "the first batch of all stays");
    this.replace(group, [...kept, ...forged(last, log.slice(kept.length), text)]);
  }

  get hasWrites(): boolean {
    return this.#pending.length > 0;
  }

  write(write: Write): void {
    this.#pending.push(write);
  }

  /** Bytes of a synced batch change. */
  replace(group: number, log: readonly Batch[]): void {
    this.#groups.set(group, { ...this.#kept(group), log });
  }

  /** The oldest write becomes durable. `commit`: the commit index that its group knows. */
  syncOne(commit: (group: number) => number): Write | undefined {
    const write = this.#pending.shift();
    if (!write) return undefined;
    const kept = this.#kept(write.group);
    const log = logAfter(kept.log, write);
    const promises = write.kind === "save" ? write.promises : kept.promises;
    const end = present(log.at(-1), "a log has a batch").index + 1;
    const known = write.kind === "install" ? end : Math.max(kept.commit, Math.min(commit(write.group), end));
    this.#groups.set(write.group, { ...kept, promises, log, commit: known });
    return write;
  }

  /** What was not synced is gone. */
  crash(): void {
    this.#pending.length = 0;
    this.isHeld = false;
  }

  /** A replica's durable log. */
  log(group: number): readonly Batch[] {
    return this.#kept(group).log;
  }

  /** What a replica is sure to know when it starts. */
  kept(group: number): { readonly commit: number; readonly term: number } {
    const { commit, promises, log } = this.#kept(group);
    return { commit, term: Math.max(promises.term, present(log.at(-1), "a log has a batch").term) };
  }

  replica(group: number, node: string): ReplicaId {
    return replicaId(node, this.disk, this.#kept(group).life);
  }

  groups(): number[] {
    return [...this.#groups.keys()];
  }

  /** A group as it is opened at a start. */
  opened(group: number, node: string): OpenedGroup {
    const { promises, log, commit } = this.#kept(group);
    const { term, votedFor, floor } = promises;
    const self = this.replica(group, node);
    return { group, self, promises: { term, votedFor }, floor, log: openedLog(log, commit) };
  }

  #kept(group: number): Kept {
    return present(this.#groups.get(group), `group ${group} is on this disk`);
  }
}

function logAfter(log: readonly Batch[], write: Write): readonly Batch[] {
  switch (write.kind) {
    case "save":
      return log;
    case "append":
      return [...log, ...write.batches];
    case "cut":
      return log.filter(({ index }) => index < write.index);
    case "install":
      return [write.checkpoint];
    case "base":
      return log.filter(({ index }) => index >= write.index);
  }
}
