/**
 * What the replication core says, as it goes over the wire, and back.
 * @module
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { present } from "../../base/assert.ts";
import { invalidField } from "../../base/errors.ts";
import type { Hello } from "../../raft/inputs.ts";
import type { Batch, Before, Call, FollowerMessage, LeaderMessage } from "../../raft/types.ts";
import {
  type Before as BeforeMessage,
  type CallSchema,
  type FollowerMessageSchema,
  type Hello as HelloMessage,
  HelloSchema,
  type LeaderMessageSchema,
  type Call as WireCall,
  type FollowerMessage as WireFollowerMessage,
  type LeaderMessage as WireLeaderMessage,
} from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { checkReplica } from "./replica-name.ts";

/** A greeting of a cluster. */
export function helloMessage(clusterId: string, { from, disk, incarnation, number }: Hello): HelloMessage {
  const counts = { incarnation: fromPosition(incarnation), number: fromPosition(number) };
  return create(HelloSchema, { clusterId, nodeId: from, diskId: disk, ...counts });
}

/** Reads a greeting. @throws {TailraceError} `invalid_field`. */
export function readHello({ nodeId, diskId, incarnation, number }: HelloMessage): Hello {
  const counts = { incarnation: toPosition(incarnation, "incarnation"), number: toPosition(number, "number") };
  return { from: nodeId, disk: diskId, ...counts };
}

/** What a follower says. */
export function followerMessage(message: FollowerMessage): MessageInitShape<typeof FollowerMessageSchema> {
  if (message.kind === "echo") return { kind: { case: "echo", value: fromPosition(message.n) } };
  const group = fromPosition(message.group);
  const term = fromPosition(message.term);
  switch (message.kind) {
    case "fetch": {
      const { replica, committedOnly } = message;
      const value = {
        ...{
          id: fromPosition(message.id),
          replica,
          next: fromPosition(message.next),
          before: beforeMessage(message.before),
        },
        ...{ durable: fromPosition(message.durable), credit: fromPosition(message.credit), committedOnly },
      };
      return { group, term, kind: { case: "fetch", value } };
    }
    case "ack": {
      const value = { durable: fromPosition(message.durable), credit: fromPosition(message.credit) };
      return { group, term, kind: { case: "ack", value } };
    }
    case "unfetch":
      return { group, term, kind: { case: "unfetch", value: {} } };
    case "badBatch":
      return { group, term, kind: { case: "badBatch", value: fromPosition(message.index) } };
  }
}

/** Reads what a follower says. @throws {TailraceError} `invalid_field`. */
export function readFollowerMessage(message: WireFollowerMessage): FollowerMessage {
  const group = toPosition(message.group, "group");
  const term = toPosition(message.term, "term");
  switch (message.kind.case) {
    case "fetch": {
      const { id, replica, next, before, durable, credit, committedOnly } = message.kind.value;
      checkReplica(replica, "replica");
      const place = { id: toPosition(id, "id"), replica, next: toPosition(next, "next"), before: readBefore(before) };
      const held = { durable: toPosition(durable, "durable"), credit: toPosition(credit, "credit") };
      return { kind: "fetch", group, term, ...place, ...held, committedOnly };
    }
    case "ack": {
      const { durable, credit } = message.kind.value;
      return {
        kind: "ack",
        group,
        term,
        durable: toPosition(durable, "durable"),
        credit: toPosition(credit, "credit"),
      };
    }
    case "unfetch":
      return { kind: "unfetch", group, term };
    case "badBatch":
      return { kind: "badBatch", group, term, index: toPosition(message.kind.value, "bad_batch") };
    case "echo":
      return { kind: "echo", n: toPosition(message.kind.value, "echo") };
    case undefined:
      throw unknownKind();
  }
}

/** What a leader says. */
export function leaderMessage(message: LeaderMessage): MessageInitShape<typeof LeaderMessageSchema> {
  if (message.kind === "beat") {
    const value = { n: fromPosition(message.n), echoed: fromPosition(message.echoed) };
    return { kind: { case: "beat", value } };
  }
  const group = fromPosition(message.group);
  if (message.kind === "notYet") return { group, kind: { case: "notYet", value: {} } };
  if (message.kind === "gone") return { group, kind: { case: "gone", value: {} } };
  const term = fromPosition(message.term);
  switch (message.kind) {
    case "following":
      return {
        group,
        term,
        id: fromPosition(message.id),
        kind: { case: "following", value: fromPosition(message.commit) },
      };
    case "batches": {
      const value = { commit: fromPosition(message.commit), batches: message.batches.map(({ bytes }) => bytes) };
      return { group, term, id: fromPosition(message.id), kind: { case: "batches", value } };
    }
    case "commit":
      return { group, term, kind: { case: "commit", value: fromPosition(message.commit) } };
    case "diverged": {
      const value = { atTerm: fromPosition(message.atTerm), end: fromPosition(message.end) };
      return { group, term, id: fromPosition(message.id), kind: { case: "diverged", value } };
    }
    case "restart": {
      const value = { base: fromPosition(message.base), before: beforeMessage(message.before) };
      return { group, term, id: fromPosition(message.id), kind: { case: "restart", value } };
    }
    case "notLeader":
      return { group, term, kind: { case: "notLeader", value: message.leader ?? "" } };
    case "disagree":
      return { group, term, kind: { case: "disagree", value: fromPosition(message.index) } };
  }
}

/**
 * Reads what a leader says.
 * @param batchOf Gives a batch by its bytes.
 * @throws {TailraceError} `invalid_field`.
 */
export function readLeaderMessage(
  message: WireLeaderMessage,
  batchOf: (bytes: Uint8Array, group: number) => Batch | undefined,
): LeaderMessage {
  const group = toPosition(message.group, "group");
  const term = toPosition(message.term, "term");
  const id = toPosition(message.id, "id");
  const { kind } = message;
  switch (kind.case) {
    case "following":
      return { kind: "following", group, term, id, commit: toPosition(kind.value, "following") };
    case "batches": {
      const batches = kind.value.batches.map((bytes) => batchOf(bytes, group));
      const firstBad = batches.indexOf(undefined);
      const whole = batches
        .slice(0, firstBad < 0 ? batches.length : firstBad)
        .map((batch) => present(batch, "a whole batch"));
      const bad = firstBad < 0 ? {} : { bad: (whole.at(-1)?.index ?? -2) + 1 };
      return {
        kind: "batches",
        group,
        term,
        id,
        commit: toPosition(kind.value.commit, "commit"),
        batches: whole,
        ...bad,
      };
    }
    case "commit":
      return { kind: "commit", group, term, commit: toPosition(kind.value, "commit") };
    case "diverged": {
      const { atTerm, end } = kind.value;
      return { kind: "diverged", group, term, id, atTerm: toPosition(atTerm, "at_term"), end: toPosition(end, "end") };
    }
    case "restart": {
      const { base, before } = kind.value;
      return { kind: "restart", group, term, id, base: toPosition(base, "base"), before: readBefore(before) };
    }
    case "notLeader":
      return { kind: "notLeader", group, term, leader: kind.value === "" ? null : kind.value };
    case "notYet":
      return { kind: "notYet", group };
    case "gone":
      return { kind: "gone", group };
    case "disagree":
      return { kind: "disagree", group, term, index: toPosition(kind.value, "disagree") };
    case "beat":
      return { kind: "beat", n: toPosition(kind.value.n, "n"), echoed: toPosition(kind.value.echoed, "echoed") };
    case undefined:
      throw unknownKind();
  }
}

/** What one replica says to another. */
export function callMessage(call: Call): MessageInitShape<typeof CallSchema> {
  const { from, to } = call;
  const about = { group: fromPosition(call.group), term: fromPosition(call.term), from, to };
  switch (call.kind) {
    case "vote": {
      const { pre, last } = call;
      const value = { pre, lastTerm: fromPosition(last.term), lastEnd: fromPosition(last.end) };
      return { ...about, kind: { case: "vote", value } };
    }
    case "voted": {
      const { pre, granted, leader } = call;
      const value = { pre, asked: fromPosition(call.asked), granted, leader: leader ?? "" };
      return { ...about, kind: { case: "voted", value } };
    }
    case "lead":
      return { ...about, kind: { case: "lead", value: {} } };
    case "stepUp":
      return { ...about, kind: { case: "stepUp", value: {} } };
    case "outdated":
      return { ...about, kind: { case: "outdated", value: {} } };
  }
}

/** Reads what one replica says to another. @throws {TailraceError} `invalid_field`. */
export function readCall(call: WireCall): Call {
  const { from, to, kind } = call;
  // Who asks for a vote may be given it; whom it is for is compared only.
  checkReplica(from, "from");
  const about = { group: toPosition(call.group, "group"), term: toPosition(call.term, "term"), from, to };
  switch (kind.case) {
    case "vote": {
      const { pre, lastTerm, lastEnd } = kind.value;
      const last = { term: toPosition(lastTerm, "last_term"), end: toPosition(lastEnd, "last_end") };
      return { kind: "vote", ...about, pre, last };
    }
    case "voted": {
      const { pre, asked, granted, leader } = kind.value;
      return {
        kind: "voted",
        ...about,
        pre,
        asked: toPosition(asked, "asked"),
        granted,
        leader: leader === "" ? null : leader,
      };
    }
    case "lead":
    case "stepUp":
    case "outdated":
      return { kind: kind.case, ...about };
    case undefined:
      throw unknownKind();
  }
}

function beforeMessage({ term, digest }: Before): { term: bigint; digest: Uint8Array } {
  return { term: fromPosition(term), digest };
}

function readBefore(before: BeforeMessage | undefined): Before {
  if (before?.digest.length !== 32) throw invalidField("before", "it has no digest of 32 bytes", "Send it whole");
  return { term: toPosition(before.term, "before.term"), digest: before.digest };
}

function unknownKind(): Error {
  return invalidField("kind", "it is none that this version knows", "Upgrade this node");
}
