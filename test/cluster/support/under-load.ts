import { chooseSeed, seeded } from "../../support/seeded.ts";
import { type Cluster, type ClusterOptions, withCluster } from "./cluster.ts";
import { judge } from "./judge.ts";
import { Load, type LoadOptions } from "./load.ts";
import type { ClusterNode } from "./node-process.ts";

/** Appends go on so soon after the faults are over. */
export const backMaxMs = 20_000;

const stream = "history";

/** What a fault is given: a cluster whose clients append and read all the time. */
export interface Scene {
  readonly cluster: Cluster;
  readonly load: Load;
  /** The stream that they use. */
  readonly stream: string;
}

export interface UnderLoadOptions extends ClusterOptions, Pick<LoadOptions, "replicationFactor"> {
  /** Where the stream is followed; left out: at all nodes. */
  readonly followAt?: (cluster: Cluster) => readonly ClusterNode[];
}

/** Runs a cluster with clients through what `fault` does; afterwards appends go on, and all that was told is judged. */
export async function underLoad(
  name: string,
  options: UnderLoadOptions,
  fault: (scene: Scene) => Promise<void>,
): Promise<void> {
  const random = seeded(chooseSeed(name), 16);
  await withCluster(options, async (cluster) => {
    const { replicationFactor, followAt = () => cluster.nodes } = options;
    const load = await Load.start({
      ...{ nodes: cluster.nodes, stream, random, followAt: followAt(cluster) },
      ...(replicationFactor !== undefined && { replicationFactor }),
    });
    try {
      await load.nextAck(backMaxMs);
      await fault({ cluster, load, stream });
      await load.nextAck(backMaxMs);
      const up = cluster.nodes.filter(({ isUp }) => isUp);
      await judge(load, up, stream);
    } finally {
      // A test that failed would have its clients go on beside the next one.
      load.abandon();
    }
  });
}

/** Resolves after `ms`. */
export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
