/** How far behind a replica knows itself to be: by what it heard, and what it lacks of that. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { sourceOf } from "./group.ts";
import type { Hello, Input } from "./inputs.ts";
import { RaftNode } from "./node.ts";
import { type FollowerMessage, type LeaderMessage, lanSettings, nodeOf, type ReplicaId, replicaId } from "./types.ts";

const group = 1;
const self = replicaId("1", "a", 0);
const leader = replicaId("2", "a", 0);
const third = replicaId("3", "a", 0);
const digest = new Uint8Array(32);

/** A replica that follows node 2 in term 1 since time 0. */
class Follower {
  readonly node = new RaftNode({ settings: lanSettings, random: () => 0.5 });
  nowMs = 0;

  constructor() {
    const promises = { term: 0, votedFor: null };
    const log = {
      base: { index: 0, before: { term: 0, digest } },
      ...{ terms: [{ term: 0, index: 0 }], end: 1, digests: [digest], commit: 1 },
      voterSets: [{ index: 0, voters: [self, leader, third] }],
    };
    this.takes({ kind: "open", opened: { group, self, promises, floor: { term: 0, index: 0 }, log } });
  }

  takes(input: Input): void {
    for (const effect of this.node.step(input, this.nowMs)) {
      if (effect.kind === "save") this.takes({ kind: "group", group, input: { kind: "saved" } });
    }
  }

  follow(): void {
    this.takes({ kind: "called", from: "2", calls: [{ kind: "lead", group, term: 1, from: leader, to: self }] });
    this.takes({ kind: "sessionOpened", to: "2", number: 1 });
    this.hears({ kind: "following", group, term: 1, id: this.fetch, commit: 1 });
  }

  hears(...messages: readonly LeaderMessage[]): void {
    this.takes({ kind: "fromLeader", node: "2", number: 1, messages });
  }

  /** Batch 1 comes, of which is said that it is committed; the disk has it later. */
  getsBatch(): void {
    const batch = { index: 1, term: 1, digest, kind: BatchKind.leaderChange, bytes: new Uint8Array(0) };
    this.hears({ kind: "batches", group, term: 1, id: this.fetch, commit: 2, batches: [batch] });
  }

  syncs(): void {
    const { generation } = present(this.node.group(group), "it is open").log;
    this.takes({ kind: "group", group, input: { kind: "synced", generation, end: 2 } });
  }

  get fetch(): number {
    return present(sourceOf(present(this.node.group(group), "it is open")), "it fetches").id;
  }

  get lagMs(): number | undefined {
    return this.node.lagMs(group, this.nowMs);
  }
}

test("who hears from nobody does not know; who follows counts from what it last heard", () => {
  const follower = new Follower();
  assert.equal(follower.lagMs, undefined);
  follower.follow();
  assert.equal(follower.lagMs, 0);
  follower.nowMs = 70;
  assert.equal(follower.lagMs, 70);
  follower.hears({ kind: "beat", n: 1, echoed: 0 });
  assert.equal(follower.lagMs, 0);
  follower.takes({ kind: "sessionClosed", to: "2", number: 1, refused: false });
  assert.equal(follower.lagMs, undefined);
});

test("what is committed and not here counts from when that was said, whatever is heard since", () => {
  const follower = new Follower();
  follower.follow();
  follower.nowMs = 10;
  follower.hears({ kind: "commit", group, term: 1, commit: 2 });
  follower.nowMs = 50;
  follower.hears({ kind: "beat", n: 1, echoed: 0 });
  assert.equal(follower.lagMs, 40);
  follower.getsBatch();
  follower.nowMs = 60;
  assert.equal(follower.lagMs, 50, "the disk does not have it yet");
  follower.syncs();
  assert.equal(follower.node.group(group)?.log.commit, 2);
  assert.equal(follower.lagMs, 10);
});

/** A leader of term 1 since time 0, whom node 2 elected. */
class Leader extends Follower {
  constructor() {
    super();
    this.takes({ kind: "called", from: "2", calls: [{ kind: "stepUp", group, term: 0, from: leader, to: self }] });
    const voted = { kind: "voted", group, term: 1, asked: 1, granted: true, leader: null, pre: false } as const;
    this.takes({ kind: "called", from: "2", calls: [{ ...voted, from: leader, to: self }] });
    assert.equal(this.node.group(group)?.role.kind, "leader");
  }

  /** A voter says something in its session. */
  isHeard(replica: ReplicaId, ...messages: readonly FollowerMessage[]): void {
    this.takes({ kind: "fromFollower", hello: helloOf(replica), messages });
  }

  /** A voter follows from now on. */
  isFollowed(replica: ReplicaId): void {
    this.takes({ kind: "accepted", hello: helloOf(replica) });
    const before = { term: 0, digest };
    const fetch = { kind: "fetch", group, term: 1, id: 1, replica, next: 1, before, durable: 1, credit: 1 } as const;
    this.isHeard(replica, { ...fetch, committedOnly: false });
    assert.ok(this.node.group(group)?.feeds.has(replica));
  }
}

function helloOf(replica: ReplicaId): Hello {
  return { from: nodeOf(replica), disk: "a", incarnation: 1, number: 1 };
}

test("a leader counts from when it last heard from a majority; before anybody follows, from when it was elected", () => {
  const elected = new Leader();
  assert.equal(elected.lagMs, 0);
  elected.nowMs = 50;
  assert.equal(elected.lagMs, 50);
  elected.isFollowed(third);
  assert.equal(elected.lagMs, 0);
  elected.nowMs = 80;
  elected.isFollowed(leader);
  elected.nowMs = 200;
  assert.equal(elected.lagMs, 120, "one of two others is enough");
  elected.isHeard(third, { kind: "echo", n: 1 });
  assert.equal(elected.lagMs, 0);
  elected.nowMs = 900;
  assert.equal(elected.lagMs, 700, "both are silent");
});

test("a leader whose followers' sessions ended counts from then", () => {
  const elected = new Leader();
  elected.isFollowed(third);
  elected.nowMs = 300;
  elected.isHeard(third, { kind: "echo", n: 1 });
  elected.takes({ kind: "ended", hello: helloOf(third) });
  elected.nowMs = 700;
  assert.equal(elected.lagMs, 400);
});
