/**
 * Which placements change when nodes come and go: a few by hand, and random clusters that must come to rest evenly.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chooseSeed } from "../../test/support/seeded.ts";
import { SimRandom } from "../sim/random.ts";
import { replicaCount, type Voters } from "./cluster.ts";
import { evenLeaders, type PlacedGroup, rebalance } from "./rebalance.ts";

const three = ["a", "b", "c"];
const group = (id: number, nodes: readonly string[], factor = 0): PlacedGroup => ({ id, factor, nodes });
const nodesOf = (changes: readonly PlacedGroup[]) => changes.map(({ id, nodes }) => [id, nodes]);

interface Case {
  readonly name: string;
  readonly cluster: Voters;
  readonly groups: readonly PlacedGroup[];
  readonly changes: readonly [number, readonly string[]][];
}

describe("rebalance()", () => {
  const cases: readonly Case[] = [
    {
      name: "what is right stays",
      cluster: { voters: three },
      groups: [group(1, ["a", "b", "c"]), group(2, ["b", "c", "a"]), group(3, ["c"], 1)],
      changes: [],
    },
    {
      name: "a group of a lone node grows, and is led where it was",
      cluster: { voters: three },
      groups: [group(1, ["a"])],
      changes: [[1, ["a", "b", "c"]]],
    },
    {
      name: "a node that is no voter any more is replaced",
      cluster: { voters: ["a", "b", "d"] },
      groups: [group(1, ["a", "c", "b"])],
      changes: [[1, ["a", "b", "d"]]],
    },
    {
      name: "where it came first, another leads: who leads the least",
      cluster: { voters: ["a", "b", "d"] },
      groups: [group(1, ["c", "b", "a"]), group(2, ["a"], 1), group(3, ["b"], 1)],
      changes: [[1, ["d", "b", "a"]]],
    },
    {
      name: "one too many is dropped, never the first while it is up",
      cluster: { voters: three },
      groups: [group(1, ["a", "b", "c"], 1)],
      changes: [[1, ["a"]]],
    },
    {
      name: "of those too many, one that is down goes first",
      cluster: { voters: three, alive: (node) => node !== "a" },
      groups: [group(1, ["a", "b", "c"], 2)],
      changes: [[1, ["b", "c"]]],
    },
    {
      name: "a node that is down keeps what it has",
      cluster: { voters: ["a", "b", "c", "d"], alive: (node) => node !== "a" },
      groups: [group(1, ["a", "b", "c"]), group(2, ["b", "a", "d"]), group(3, ["c", "d", "a"])],
      changes: [],
    },
    {
      name: "replicas in one region are spread over two",
      cluster: {
        voters: ["a", "b", "c", "d"],
        regions: new Map([
          ["a", "ams"],
          ["b", "ams"],
          ["c", "ams"],
          ["d", "fra"],
        ]),
      },
      groups: [group(1, ["a", "b", "c"])],
      changes: [[1, ["d", "b", "c"]]],
    },
    {
      name: "preferred leaders of groups that are right stay, however many of them one node is",
      cluster: { voters: three },
      groups: [group(1, ["a", "b", "c"]), group(2, ["a", "b", "c"]), group(3, ["a", "b", "c"])],
      changes: [],
    },
    { name: "without voters nothing is said", cluster: { voters: [] }, groups: [group(1, ["a"])], changes: [] },
  ];
  for (const { name, cluster, groups, changes } of cases) {
    test(name, () => assert.deepEqual(nodesOf(rebalance(groups, cluster, 100)), changes));
  }

  test("a new node gets its share, with no more moves than that takes", () => {
    const groups = Array.from({ length: 90 }, (_, id) => group(id, rotated(three, id)));
    const cluster = { voters: [...three, "d"] };
    const changes = rebalance(groups, cluster, 1000);
    const moved = changes.filter(({ id, nodes }) => nodes.some((node) => !groups[id]?.nodes.includes(node)));
    // 270 replicas on four nodes are 67 or 68 each.
    assert.ok(moved.length === 67 || moved.length === 68, `${moved.length} replicas moved`);
    assert.equal(changes.length, moved.length, "leaders go along with replicas: none moves beside");
    const after = applied(groups, changes);
    assertEven(after, cluster, "replicas");
    assertEven(after, cluster, "leaders");
  });

  test("at most so many change at once, and in the end it is the same as all at once", () => {
    const groups = Array.from({ length: 40 }, (_, id) => group(id, rotated(three, id)));
    const cluster = { voters: ["b", "c", "d", "e"] };
    let now: readonly PlacedGroup[] = groups;
    let calls = 0;
    for (let changes = rebalance(now, cluster, 3); changes.length > 0; changes = rebalance(now, cluster, 3)) {
      assert.ok(changes.length <= 3);
      now = applied(now, changes);
      calls += 1;
      assert.ok(calls < 200, "it comes to an end");
    }
    assertRight(now, cluster);
  });

  test("groups of a lone node that grows to three are led evenly when all have grown", () => {
    let groups: readonly PlacedGroup[] = Array.from({ length: 31 }, (_, id) => group(id, ["a"]));
    const cluster = { voters: three };
    for (let calls = 0; calls < 11; calls++) groups = applied(groups, rebalance(groups, cluster, 3));
    assertRight(groups, cluster);
    assertEven(groups, cluster, "leaders");
  });

  test("leaders become even without data, at most so many at once, when that is asked for", () => {
    const groups = Array.from({ length: 3 }, (_, id) => group(id, three));
    const changes = evenLeaders(groups, { voters: three }, 100);
    assert.deepEqual(nodesOf(changes), [
      [0, ["b", "a", "c"]],
      [1, ["c", "a", "b"]],
    ]);
    assert.deepEqual(nodesOf(evenLeaders(groups, { voters: three }, 1)), [[0, ["b", "a", "c"]]]);
    const alive = (node: string) => node !== "b";
    assert.deepEqual(nodesOf(evenLeaders(groups, { voters: three, alive }, 100)), [[0, ["c", "a", "b"]]]);
  });

  test("random clusters come to rest: right, spread over regions, and even", { timeout: 60_000 }, () => {
    const seed = chooseSeed("rebalance");
    for (let run = 0; run < 300; run++) {
      const random = SimRandom.of(seed, run);
      const all = Array.from({ length: random.between(1, 8) }, (_, at) => `n${at}`);
      const dead = new Set(all.filter(() => random.chance(0.1)));
      const regions = new Map(all.map((node) => [node, `r${random.between(0, random.between(0, 3))}`]));
      let groups: readonly PlacedGroup[] = Array.from({ length: random.between(0, 60) }, (_, id) =>
        group(id, [], random.between(0, 5)),
      );
      for (let change = 0; change < 4; change++) {
        const voters = all.filter(() => random.chance(0.7));
        const cluster = {
          ...{ voters, alive: (node: string) => !dead.has(node) },
          ...(random.chance(0.5) ? { regions } : {}),
        };
        const most = random.between(1, 20);
        for (let calls = 0; ; calls++) {
          const changes = rebalance(groups, cluster, most);
          if (changes.length === 0) break;
          assert.ok(changes.length <= most && calls < 1000, `seed ${seed}, run ${run}`);
          groups = applied(groups, changes);
        }
        if (voters.length > 0) assertRight(groups, cluster);
      }
    }
  });
});

function rotated(nodes: readonly string[], by: number): readonly string[] {
  const at = by % nodes.length;
  return [...nodes.slice(at), ...nodes.slice(0, at)];
}

function applied(groups: readonly PlacedGroup[], changes: readonly PlacedGroup[]): readonly PlacedGroup[] {
  return groups.map((found) => changes.find(({ id }) => id === found.id) ?? found);
}

/** Each group is on as many different voters as it should be; nothing could be spread further by one move. */
function assertRight(groups: readonly PlacedGroup[], cluster: Voters): void {
  const { voters, regions, alive = () => true } = cluster;
  for (const { factor, nodes } of groups) {
    assert.equal(new Set(nodes).size, nodes.length);
    assert.equal(nodes.length, replicaCount(factor, voters.length));
    assert.ok(nodes.every((node) => voters.includes(node)));
  }
  const live = voters.filter(alive);
  for (const from of live) {
    for (const to of live) {
      const sameRegion = regions?.get(from) === regions?.get(to);
      const isMovable = groups.some(({ nodes }) => sameRegion && nodes.includes(from) && !nodes.includes(to));
      const tooMany = count(groups, "replicas", from) - count(groups, "replicas", to) > 1;
      assert.ok(!(tooMany && isMovable), `a replica could go from ${from} to ${to}`);
    }
  }
  for (const { nodes } of groups) {
    const inRegion = (region: string | undefined) => nodes.filter((node) => regions?.get(node) === region).length;
    for (const from of nodes.filter(alive)) {
      for (const to of live.filter((node) => !nodes.includes(node))) {
        const isBetter = inRegion(regions?.get(to)) + 1 < inRegion(regions?.get(from));
        assert.ok(!(regions && isBetter), `${nodes} crowd the region of ${from}, and ${to} is elsewhere`);
      }
    }
  }
}

function assertEven(groups: readonly PlacedGroup[], { voters }: Voters, what: "replicas" | "leaders"): void {
  const counts = voters.map((node) => count(groups, what, node));
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${what}: ${counts}`);
}

function count(groups: readonly PlacedGroup[], what: "replicas" | "leaders", node: string): number {
  return groups.filter(({ nodes }) => (what === "leaders" ? nodes[0] === node : nodes.includes(node))).length;
}
