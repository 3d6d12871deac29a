/**
 * A node with one replica on a real folder, of which nothing comes from others but what a test feeds.
 * @module
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { present } from "../../src/base/assert.ts";
import { BatchKind } from "../../src/base/batch.ts";
import type { Clock } from "../../src/host/clock.ts";
import { systemHash } from "../../src/host/hash.ts";
import type { DataFolder, GroupLog } from "../../src/log/types.ts";
import type { Hello } from "../../src/raft/inputs.ts";
import {
  type Call,
  type FollowerMessage,
  type LeaderMessage,
  lanSettings,
  nodeOf,
  type ReplicaId,
  replicaId,
} from "../../src/raft/types.ts";
import { coreBatch, hexOf, replicaOf } from "../../src/replica/core-batch.ts";
import { emptyPart, type LogOwner } from "../../src/replica/log-door.ts";
import type { PeerNet, StoredRange } from "../../src/replica/peer-net.ts";
import { RaftDriver, type RaftDriverOptions } from "../../src/replica/raft-driver.ts";
import type { ReplicaGroup } from "../../src/replica/replica-group.ts";
import { builtInSettings } from "../../src/stream/settings.ts";
import { encodeCheckpoint, encodeLeaderChange, encodeVoters } from "../../src/wire/checkpoint.ts";
import { openFolder, temporaryFolder } from "./data-folder.ts";

export const group = 1;
export const second = replicaId("2", "22".repeat(16), 0);
export const third = replicaId("3", "33".repeat(16), 0);
export const anyState = { name: "s", settings: { version: 1, ...builtInSettings }, ...emptyPart, termStarts: [] };
export const records = (text: string) => ({
  ...{ kind: BatchKind.records, payload: new TextEncoder().encode(text), recordCount: 1 },
});

export const owner: LogOwner = { restored() {}, restoring() {}, produced() {}, checkpointPart: () => anyState };

export async function oneBatch(log: GroupLog): Promise<void> {
  await log.append({ ...records("x"), begins: { term: 1, votedFor: replicaOf(second) } });
}

/** Methods of a log in place of its own. */
type Instead = (
  log: GroupLog,
) => Partial<
  Pick<GroupLog, "append" | "read" | "install" | "save" | "selfCheck" | "lastCheckpoint" | "headers" | "digestAt">
>;

/** What is to be done later is done when a test says so. */
export class HandClock implements Clock {
  #waiting: (() => void)[] = [];

  nowMicros(): number {
    return 1_000_000;
  }

  monotonicMs(): number {
    return 0;
  }

  after(_delayMs: number, wake: () => void) {
    this.#waiting.push(wake);
    return { cancel: () => {} };
  }

  passes(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A network of which nothing comes but what a test feeds. */
export class SilentNet implements PeerNet {
  baseIndex = 0;
  batches: Uint8Array = new Uint8Array(0);
  readonly opened: Hello[] = [];
  readonly said: FollowerMessage[] = [];
  readonly answered: LeaderMessage[] = [];
  readonly calls: Call[] = [];

  open(_to: string, hello: Hello): void {
    this.opened.push(hello);
  }

  toLeader(_to: string, _number: number, messages: readonly FollowerMessage[]): void {
    this.said.push(...messages);
  }

  call(_to: string, calls: readonly Call[]): void {
    this.calls.push(...calls);
  }

  closeSession(): void {}

  end(): void {}

  toFollower(_hello: Hello, messages: readonly LeaderMessage[]): void {
    this.answered.push(...messages);
  }

  async range(): Promise<StoredRange> {
    return { batches: this.batches, baseIndex: this.baseIndex };
  }
}

/** A node with one replica. */
export class ReplicaNode {
  readonly self: ReplicaId;
  readonly log: GroupLog;
  readonly driver: RaftDriver;
  readonly net = new SilentNet();
  readonly clock = new HandClock();

  private constructor(
    folder: DataFolder,
    self: ReplicaId,
    instead: Instead,
    { settings, broken }: { settings: RaftDriverOptions["settings"]; broken: RaftDriverOptions["broken"] | undefined },
  ) {
    this.self = self;
    this.log = present(folder.log(group), "it was made");
    const log = replaced(this.log, instead(this.log));
    this.driver = new RaftDriver({
      ...{ node: nodeOf(self), disk: hexOf(folder.diskId), incarnation: 1, net: this.net, clock: this.clock },
      ...{ folder: replaced(folder, { log: () => log }), hash: systemHash, random: () => 0.5, settings },
      ...(broken && { broken }),
    });
  }

  static async make(
    instead: Instead,
    {
      isAlone = false,
      /** Whether the log names it as a voter. */
      isNamed = true,
      voters = undefined as readonly ReplicaId[] | undefined,
      before = async (_log: GroupLog) => {},
      /** Called while it is not open yet. */
      added = (_replica: ReplicaGroup) => {},
      /** Of its data folder. */
      path = temporaryFolder(),
      settings = lanSettings,
      /** Left out: a fault ends the process. */
      broken = undefined as RaftDriverOptions["broken"],
    } = {},
  ): Promise<ReplicaNode> {
    const folder = await openFolder(path);
    const self = replicaId("1", hexOf(folder.diskId), 0);
    const others = isAlone ? [] : [second, third];
    await makeLog(folder, voters ?? (isNamed ? [self, ...others] : others));
    const node = new ReplicaNode(folder, self, instead, { settings, broken });
    await before(node.log);
    const replica = node.driver.add(present(node.driver.options.folder.log(group), "it was made"), self);
    added(replica);
    await node.driver.open(replica);
    return node;
  }

  get replica(): ReplicaGroup {
    return present(this.driver.group(group), "it is open");
  }

  get core() {
    return present(this.driver.core.group(group), "it is open");
  }

  /** What the other replicas say outside sessions. */
  hears(...calls: readonly Call[]): void {
    for (const call of calls) this.driver.called(nodeOf(call.from), [call]);
  }

  /** It is asked to stand for election, and wins. */
  async wins(): Promise<void> {
    const { term } = this.core;
    this.hears({ kind: "stepUp", group, term, from: second, to: this.self });
    await until(() => this.net.calls.some((call) => call.kind === "vote" && call.term === term + 1));
    const answer = { term: term + 1, asked: term + 1, granted: true, leader: null, pre: false };
    this.hears({ kind: "voted", group, from: second, to: this.self, ...answer });
    await until(() => this.core.role.kind === "leader");
  }

  /** It hears who won a term, and asks that one. */
  async followsSecond(term: number): Promise<void> {
    this.hears({ kind: "lead", group, term, from: second, to: this.self });
    const hello = present(this.net.opened.at(-1), "a session is opened");
    this.driver.sessionOpened("2", hello.number);
    await this.fetch();
  }

  /** The next fetch that it says. */
  async fetch(): Promise<Extract<FollowerMessage, { kind: "fetch" }>> {
    const isFetch = (one: FollowerMessage) => one.kind === "fetch";
    await until(() => this.net.said.some(isFetch));
    const found = this.net.said.splice(0).findLast(isFetch);
    assert.ok(found?.kind === "fetch");
    this.lastFetch = found.id;
    return found;
  }

  /** Number of the fetch that it said last. */
  lastFetch = 0;

  /** What comes in the session to the node that is followed. */
  receives(...messages: readonly LeaderMessage[]): void {
    this.driver.fromLeader("2", present(this.net.opened.at(-1), "a session is open").number, messages);
  }
}

export async function makeLog(folder: DataFolder, voters: readonly ReplicaId[]): Promise<GroupLog> {
  const stored = voters.map(replicaOf);
  const checkpointState = encodeCheckpoint({ ...anyState, voters: stored });
  const batch0 = { checkpointState, startOffset: 0, appendTimeMicros: 1, note: encodeVoters(stored) };
  const { log, made } = folder.create({ group, ...batch0 });
  await made;
  return log;
}

/** What a leader of `term` writes behind batch 0: its first batch, then so many checkpoints, and records behind each. */
export async function batchesOf({
  voters,
  term,
  rolled = 0,
}: {
  voters: readonly ReplicaId[];
  term: number;
  rolled?: number;
}) {
  const log = await makeLog(await openFolder(temporaryFolder()), voters);
  const begun = { kind: BatchKind.leaderChange, payload: encodeLeaderChange(replicaOf(second)), recordCount: 0 };
  await log.append({ ...begun, begins: { term, votedFor: replicaOf(second) } });
  const state = () => encodeCheckpoint({ ...anyState, voters: voters.map(replicaOf) });
  if (rolled > 0) log.rollBy({ maxBytes: 1, maxAgeMicros: Number.POSITIVE_INFINITY }, state);
  for (let more = 0; more < rolled; more++) await log.append(records(`${term}`));
  return (await log.read({ from: { index: 1 }, belowIndex: log.end.index, maxBytes: 1 << 20 })).map(coreBatch);
}

/** Makes the first of these bytes in a file another. */
export function spoil(file: string, text: string): void {
  const bytes = fs.readFileSync(file);
  bytes.write("x", bytes.indexOf(text));
  fs.writeFileSync(file, bytes);
}

/** The same thing, with other methods here and there. */
function replaced<T extends object>(target: T, instead: Partial<NoInfer<T>>): T {
  return new Proxy(target, {
    get(_, name) {
      const other: unknown = Reflect.get(instead, name);
      if (other !== undefined) return other;
      const own: unknown = Reflect.get(target, name, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

/** Waits for the disk. */
export async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    assert.ok(i < 2000, "it comes in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** What waits for it goes on when a test says so. */
export function gate(): { passed: Promise<void>; open: () => void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
