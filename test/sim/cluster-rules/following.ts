import type { ClusterRule } from "./rule.ts";

/** How a log comes to be another's, and how voters change. */
export const followingRules: readonly ClusterRule[] = [
  {
    undone: "a follower cuts to its own end of its own largest term not above the leader's",
    patch: [
      {
        find: "Math.min(said.end, own?.end ?? g.log.base.index);\n",
        replace: "Math.min(said.end, own?.term === said.atTerm ? own.end : g.log.end);\n",
      },
    ],
    cluster: { run: "lacking term", seeds: 10, says: /by itself/ },
  },
  {
    undone: "only the leader of the term says that a log diverged",
    patch: [
      {
        find: "    else serve(g, fetch, node, turn);\n    return;\n",
        replace:
          '    else if (next > log.end) say(g, turn, { lane: "follower", node, message: { kind: "diverged", group: g.group, term: g.term, id, atTerm: before.term, end: log.end } });\n' +
          "    else serve(g, fetch, node, turn);\n    return;\n",
      },
    ],
    cluster: { run: "observers", seeds: 40, says: /by itself/ },
    script: "12-observer-at-a-lagging-replica",
  },
  {
    undone: "voters fall back when their batch is cut off",
    patch: [{ find: "    this.#sets = this.#sets.filter((set) => set.index < index);\n", replace: "" }],
    script: "voters-taken-back",
  },
  {
    undone: "one change of voters at a time",
    patch: [
      {
        find: "log.commit <= leaderChange || !log.votersAreCommitted) return;\n",
        replace: "log.commit <= leaderChange) return;\n",
      },
      { find: "      : role.change\n        ?", replace: "      : role.change && !role.change.asked\n        ?" },
    ],
    cluster: { run: "two changes", seeds: 10, says: /invariant (1|3|6): / },
  },
  {
    undone: "voters change after a commit of the own term",
    patch: [
      {
        find: '  if (typeof leaderChange !== "number" || log.commit <= leaderChange || !log.votersAreCommitted) return;\n',
        replace: '  if (leaderChange === "none" || !log.votersAreCommitted) return;\n',
      },
    ],
    cluster: { run: "change before a commit", seeds: 10, says: /invariant 3: / },
    script: "voters-after-own-commit",
  },
  {
    undone: "a leader sends all to the newest voters",
    patch: [
      {
        find: 'g.role.kind === "leader" && g.log.voters.includes(replica);',
        replace: 'g.role.kind === "leader" && g.log.committedVoters.includes(replica);',
      },
    ],
    script: "19-added-voter-gets-all",
  },
  {
    undone: "the base moves to a committed checkpoint",
    patch: [
      {
        // Else the trim waits until the leader knows that it leads.
        find: "      if (answersFromState) {\n        await this.#log.door?.confirm();\n",
        replace: "      if (answersFromState) {\n",
      },
      {
        find: "    return this.#log.segmentBelow(Math.min(logStart, this.commit.offset));\n",
        replace:
          "    return this.#log.lastCheckpoint().then(async ({ index }) => {\n" +
          "      await this.#replica.dropBefore(index);\n      return index;\n    });\n",
      },
      {
        find: "  assert(checkpointIndex < state.committed, ",
        replace: "  assert(checkpointIndex < state.stamped.index, ",
      },
      {
        find: "    assert(index < this.commit, ",
        replace: "    this.commit = Math.max(this.commit, index + 1);\n    assert(index < this.commit, ",
      },
    ],
    cluster: { run: "uncommitted base", seeds: 10, says: /invariant (3|6): / },
  },
  {
    undone: "a batch that was sent is not written anew in its term",
    patch: [
      {
        find: '  if (role.sentEnd > end) stepDown(g, "stepped down: cannot write", turn);\n',
        replace: "  if (role.sentEnd > end) pumpAll(g, turn);\n",
      },
    ],
    script: "disk-full-leader",
  },
  {
    undone: "a restart never drops what is committed",
    patch: [{ find: "  if (said.base + 1 < g.log.commit) {\n", replace: "  if (said.base < 0) {\n" }],
    script: "committed-is-not-cut",
  },
  {
    undone: "what the disk says of before a cut proves nothing",
    patch: [{ find: "    if (generation !== this.generation) return false;\n", replace: "" }],
    script: "07-sync-of-before-a-cut",
  },
  {
    undone: "a leader that lacks what a follower has of its term stops",
    patch: [
      {
        find: "  if (next > log.end && before.term === g.term) {\n",
        replace: "  if (next > log.end && before.term < 0) {\n",
      },
    ],
    script: "leader-forgot",
  },
  {
    undone: "a replica that has less than it said counts no more",
    patch: [
      {
        find: "  if (durable < progress.durable && !progress.distrusted) {\n",
        replace: "  if (durable < progress.durable && durable < 0) {\n",
      },
    ],
    script: "old-image",
  },
  {
    undone: "a leader does not remove itself",
    patch: [
      {
        find: '  return removed.includes(self) ? "a leader does not remove itself: hand over first" : undefined;\n',
        replace: '  return removed.includes("") ? self : undefined;\n',
      },
    ],
    script: "voters-remove-leader",
  },
  {
    undone: "a majority of the new voters stands close to the end",
    patch: [
      {
        find: "  if (force && isRemoval) return undefined;\n",
        replace: "  if (force || isRemoval || wanted.length > 0) return undefined;\n",
      },
    ],
    script: "22-change-keeps-a-majority",
  },
  {
    undone: "answers to an older fetch are dropped",
    patch: [
      {
        find: "  if (!source || source.id !== said.id || said.term !== g.term) return;\n  source.answered = true;\n",
        replace: "  if (!source || said.term !== g.term) return;\n  source.answered = true;\n",
      },
      {
        find: "  if (!source?.answered || source.id !== said.id || said.term !== g.term) return;\n",
        replace: "  if (!source?.answered || said.term !== g.term) return;\n",
      },
    ],
    script: "old-answers",
  },
  {
    undone: "what a replica once held and gave up bounds its votes",
    patch: [
      {
        find: "  return last.term > floor.term || (last.term === floor.term && last.end > floor.index);\n",
        replace: "  return last.term >= 0 || last.end > floor.index;\n",
      },
    ],
    script: "floor",
  },
  {
    undone: "another digest at the same place is nobody's until both have looked at their own",
    patch: [
      {
        find: "  if (next <= log.end && log.contradicts(next, before)) {\n",
        replace: "  if (next < 0 && log.contradicts(next, before)) {\n",
      },
    ],
    script: "damage-follower",
  },
  {
    undone: "a replica whose log was let go comes back under another name",
    patch: [
      { find: "lifeBody.lifeAt, life + 1);", replace: "lifeBody.lifeAt, life);" },
      { find: "const groupState = { vote, life: life + 1,", replace: "const groupState = { vote, life," },
    ],
    cluster: { run: "voters", seeds: 20, says: /invariant (5|13): / },
  },
];
