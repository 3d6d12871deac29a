/**
 * No term is spent on a log that can't win: who has more gives it no pre-vote (Ongaro's thesis, section 9.6).
 * @module
 */
import type { Group } from "../../raft/group.ts";
import type { Effect } from "../../raft/turn.ts";
import type { Call, NodeId } from "../../raft/types.ts";
import { must } from "../must.ts";

/** Looks at what a node answered in the step in which it was called. */
export function checkPreVotes(
  node: NodeId,
  calls: readonly Call[],
  effects: readonly Effect[],
  groupOf: (group: number) => Group | undefined,
): void {
  const said = effects.flatMap((effect) => (effect.kind === "call" ? effect.calls : []));
  for (const call of calls) {
    const own = groupOf(call.group)?.log.last;
    if (call.kind !== "vote" || !call.pre || !own) continue;
    const { group, from, last } = call;
    const isBehind = last.term < own.term || (last.term === own.term && last.end < own.end);
    const isGranted = said.some(
      (one) => one.kind === "voted" && one.pre && one.granted && one.group === group && one.to === from,
    );
    must(
      !isGranted || !isBehind,
      `${node} grants a pre-vote to ${from} in group ${group}, whose log is behind its own`,
    );
  }
}
