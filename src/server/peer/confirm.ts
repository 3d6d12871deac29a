/**
 * What another node asks of a group's leader: for a linearizable read of its own, how far the group must be committed; and to
 * end a log for good.
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { NotLeaderError, RefusedError } from "../../replica/replica-errors.ts";
import type { ReplicaGroup } from "../../replica/replica-group.ts";
import { type ErrorDetailSchema, Fate, Reason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { withDetail } from "../api/errors.ts";

/** The index below which a log has all that was acknowledged before the call. @throws {ConnectError} */
export async function confirmed(group: ReplicaGroup | undefined): Promise<number> {
  if (group === undefined) throw refusal("the group is not here", { reason: Reason.NOT_READY });
  return await asLeader(() => group.linearize());
}

/** What only a leader does, and why it is not done here. @throws {ConnectError} */
export async function asLeader<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RefusedError) throw refusal(error.message, { reason: Reason.NOT_READY });
    if (!(error instanceof NotLeaderError)) throw error;
    const { leaderNode } = error;
    const leader = leaderNode === undefined ? {} : { leader: { nodeId: leaderNode } };
    throw refusal(error.message, { reason: Reason.NOT_LEADER, ...leader });
  }
}

function refusal(why: string, detail: MessageInitShape<typeof ErrorDetailSchema>): ConnectError {
  const todo = "Ask the group's leader";
  return withDetail(Code.Unavailable, `Cannot do what only a leader does: ${why}`, {
    ...{ todo, fate: Fate.NOTHING_WRITTEN },
    ...detail,
  });
}
