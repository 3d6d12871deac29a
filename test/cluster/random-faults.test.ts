/**
 * Faults by chance, several at once, for a while: what nobody thought of. TAILRACE_TEST_FAULTS_S says how long.
 */
import { test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { chooseSeed, type Seeded, seeded } from "../support/seeded.ts";
import { Changing } from "./support/changing.ts";
import type { Cluster } from "./support/cluster.ts";
import type { Link } from "./support/host.ts";
import { whyNoCuts } from "./support/hosts.ts";
import type { ClusterNode } from "./support/node-process.ts";
import { passed, underLoad } from "./support/under-load.ts";

const lastsS = Number(process.env["TAILRACE_TEST_FAULTS_S"] ?? 30);
const faultMs = { least: 300, most: 4_000 };
const restMs = { least: 100, most: 1_500 };
/** Faults that are there at the same time, at most. */
const atOnce = 2;

/** Something that is wrong for a while; gives how it is made right. */
type Fault = (cluster: Cluster, random: Seeded) => Promise<(() => void | Promise<void>) | undefined>;

const killed: Fault = async (cluster, random) => {
  const node = upNode(cluster, random);
  await node?.end("SIGKILL");
  return node && (() => startAgain(node));
};

const stopped: Fault = async (cluster, random) => {
  const node = upNode(cluster, random);
  await node?.end("SIGTERM");
  return node && (() => startAgain(node));
};

const held: Fault = async (cluster, random) => {
  const node = upNode(cluster, random);
  node?.pause();
  return node && (() => goOn(node));
};

const cutOff: Fault = (cluster, random) => cut(cluster, cluster.linksOf(anyNode(cluster, random)));

const apart: Fault = (cluster, random) => {
  const [one, other] = [anyNode(cluster, random), anyNode(cluster, random)];
  return cut(cluster, cluster.linksBetween([one], [other]));
};

const oneWay: Fault = (cluster, random) => {
  const node = anyNode(cluster, random);
  const links = cluster.linksBetween([node], cluster.others(node));
  const end = random.between(0, 1) === 0 ? "from" : "to";
  return cut(
    cluster,
    links.filter((link) => link[end] === node.host.name),
  );
};

const faults: Record<string, Fault> = {
  ...{ killed, stopped, held },
  ...(whyNoCuts === undefined ? { cutOff, apart, oneWay } : {}),
};

test(`${lastsS} s of faults by chance, ${atOnce} at once: all that was said stays true`, {
  timeout: (lastsS + 120) * 1_000,
}, async () => {
  const random = seeded(chooseSeed("which faults"), 16);
  const args = ["--retention-interval", "1s"];
  await underLoad("random faults", { nodes: 3, args }, async ({ cluster, load }) => {
    const changing = await Changing.start(cluster.nodes, random);
    try {
      const counts = await faultsByChance(cluster, random);
      const told = [...counts].map(([name, count]) => `${name} ${count}`);
      console.log(`${told.join(", ")}; ${load.acks} appends acknowledged`);
      await Promise.all(cluster.nodes.map((node) => node.ready()));
      await changing.judge();
    } finally {
      changing.abandon();
    }
  });
});

/** Resolves when they are over, with how many of each kind there were. */
async function faultsByChance(cluster: Cluster, random: Seeded): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const end = performance.now() + lastsS * 1_000;
  const run = async () => {
    while (performance.now() < end) {
      const name = present(Object.keys(faults)[random.between(0, Object.keys(faults).length - 1)], "there are faults");
      const over = await faults[name]?.(cluster, random);
      if (over !== undefined) {
        counts.set(name, (counts.get(name) ?? 0) + 1);
        await passed(random.between(faultMs.least, faultMs.most));
        await over();
      }
      await passed(random.between(restMs.least, restMs.most));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  return counts;
}

async function cut({ hosts }: Cluster, links: readonly Link[]): Promise<(() => Promise<void>) | undefined> {
  if (links.length === 0) return undefined;
  await hosts.cut(links);
  return () => hosts.mend(links);
}

/** Another fault may have ended and started it meanwhile. */
function startAgain(node: ClusterNode): void {
  if (!node.isUp) node.start();
}

function goOn(node: ClusterNode): void {
  if (node.isUp) node.resume();
}

function anyNode({ nodes }: Cluster, random: Seeded): ClusterNode {
  return present(nodes[random.between(0, nodes.length - 1)], "a cluster has nodes");
}

function upNode({ nodes }: Cluster, random: Seeded): ClusterNode | undefined {
  const up = nodes.filter(({ isUp }) => isUp);
  return up[random.between(0, up.length - 1)];
}
