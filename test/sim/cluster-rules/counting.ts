import type { ClusterRule } from "./rule.ts";

/** What is committed, and what counts for it. */
export const countingRules: readonly ClusterRule[] = [
  {
    undone: "a follower counts once",
    patch: [
      {
        find: "    majorityValue(log.voters, (voter) => heldBy(g, role, voter)),\n",
        replace:
          "    [...log.voters, ...log.voters.filter((voter) => voter !== g.self).slice(0, 1)]\n" +
          "      .map((voter) => heldBy(g, role, voter)).sort((a, b) => b - a)[Math.floor(log.voters.length / 2)] ?? 0,\n",
      },
    ],
    cluster: { run: "four voters", seeds: 30, says: /invariant 6: / },
  },
  {
    undone: "a leader counts its own synced end",
    patch: [
      {
        find: "  if (voter === g.self) return g.log.durable;\n",
        replace: "  if (voter === g.self) return g.log.end;\n",
      },
      { find: "    log.durable,\n  );\n", replace: "    log.end,\n  );\n" },
      { find: "      index >= this.commit && index <= this.durable,\n", replace: "      index >= this.commit,\n" },
      {
        find: "found.log.setCommit(effect.index);\n",
        replace: "found.log.setCommit(Math.min(effect.index, found.log.durableEnd.index));\n",
      },
    ],
    cluster: { run: "elections", seeds: 30, says: /invariant 6: / },
  },
  {
    undone: "a follower acknowledges what is synced",
    patch: [
      {
        find: "    durable: g.log.durable,\n    credit",
        replace: "    durable: g.log.end,\n    credit",
      },
    ],
    cluster: { run: "elections", seeds: 30, says: /invariant (6|13): / },
  },
  {
    undone: "only a batch of the own term is committed by counting",
    patch: [{ find: "end <= log.commit || log.termAt(end - 1) !== g.term", replace: "end <= log.commit" }],
    cluster: { run: "older terms", seeds: 10, says: /invariant 3: / },
  },
  {
    undone: "what a follower holds counts when its position was found",
    patch: [
      {
        find: "  drop(g, replica, node, turn);\n  if (!isLeader) {\n",
        replace:
          "  drop(g, replica, node, turn);\n" +
          "  if (role.kind === 'leader') {\n" +
          "    hold(g, progressOf(role, replica), fetch.durable, turn);\n" +
          "    advanceCommit(g, role, turn);\n  }\n" +
          "  if (!isLeader) {\n",
      },
    ],
    cluster: { run: "elections", seeds: 30, says: /invariant 6: / },
    script: "03-durable-of-unchecked-position",
  },
  {
    undone: "the newest voters count",
    patch: [
      {
        find: "    majorityValue(log.voters, (voter) => heldBy(g, role, voter)),\n",
        replace: "    majorityValue(log.committedVoters, (voter) => heldBy(g, role, voter)),\n",
      },
    ],
    cluster: { run: "voters", seeds: 40, says: /invariant (6|12): / },
    script: "19-observer-votes",
  },
  {
    undone: "a follower commits no more than it has matched",
    patch: [
      {
        find: "  if (source?.answered && said.term === g.term) hearCommit",
        replace: "  if (source && said.term === g.term) hearCommit",
      },
      {
        find: "Math.min(source.saidCommit, source.matched, g.log.durable)",
        replace: "Math.min(source.saidCommit, g.log.durable)",
      },
      {
        find: '    say(g, turn, { lane: "follower", node, message });\n    return;\n  }\n  serve(g, fetch, node, turn);\n  const progress',
        replace:
          '    say(g, turn, { lane: "follower", node, message: { kind: "commit", group, term, commit: log.commit } });\n' +
          '    say(g, turn, { lane: "follower", node, message });\n    return;\n  }\n  serve(g, fetch, node, turn);\n  const progress',
      },
    ],
    cluster: { run: "elections", seeds: 60, says: /invariant 3: / },
    script: "04-commit-on-unmatched-suffix",
  },
  {
    undone: "what is committed is never cut",
    patch: [
      {
        find: "  const end = Math.min(said.end, own?.end ?? g.log.base.index);\n  if (end < g.log.commit || end >= g.log.end) {",
        replace:
          "  const end = Math.max(Math.min(said.end, own?.end ?? g.log.base.index) - 2, g.log.base.index + 1);\n  if (end >= g.log.end) {",
      },
      { find: "    if (known >= 64 || index === this.end) {\n", replace: "    if (known >= 1e9) {\n" },
      { find: "index > this.base.index && index >= this.commit", replace: "index > this.base.index" },
    ],
    cluster: { run: "elections", seeds: 60, says: /invariant 15: / },
    script: "committed-is-not-cut",
  },
];
