import { spawnSync } from "node:child_process";
import type { BenchNode } from "./node.ts";

/**
 * Bytes that went over the connections between nodes so far, both ways, as the kernel counts them for those that are open.
 * Undefined where there is no `ss` to ask.
 */
export async function peerBytes(nodes: readonly BenchNode[]): Promise<number | undefined> {
  const ports = nodes.map(({ peerPort }) => `sport = :${peerPort} or dport = :${peerPort}`).join(" or ");
  const { status, stdout } = spawnSync("ss", ["-tinH", `( ${ports} )`], { encoding: "utf8" });
  if (status !== 0) return undefined;
  // Both ends of each connection are on this machine, and each tells what it sent.
  return [...stdout.matchAll(/bytes_sent:(\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}
