/**
 * Disks that change bytes by themselves, in segments that are sealed: there nothing is told apart by guessing. Only while
 * all others hold what is committed, and one replica of a group at a time: it mends itself with what another has, or
 * begins a new life. What all others have dropped can't be mended so: no bit of that is flipped, and all are found at once.
 * @module
 */
import { TailraceError } from "../../base/errors.ts";
import { parseSegmentName } from "../../log/format.ts";
import type { FileNode } from "../file-node.ts";
import type { SimRandom } from "../random.ts";
import type { SimNode } from "./node.ts";
import { othersAreWhole } from "./old-disks.ts";
import { count, type World } from "./world.ts";

/** A segment that grows no more. */
interface Sealed {
  readonly node: SimNode;
  readonly group: number;
  readonly path: string;
  readonly file: FileNode;
}

/** Flips a bit of a sealed segment, if there is one whose bytes others have. */
export function flipBit(world: World, nodes: readonly SimNode[], random: SimRandom): void {
  if (world.spoiled.size > 0) return;
  const files = nodes.flatMap((node) => {
    const isCutOff = nodes.some(({ id }) => world.network.isCut(id, node.id) || world.network.isCut(node.id, id));
    const groups = [...world.groups.keys()].filter(
      (group) => !isCutOff && holdsAll(world, node, group) && othersAreWhole(world, nodes, node, group),
    );
    return node.process ? groups.flatMap((group) => sealedOf(node, group, dropped(nodes, group))) : [];
  });
  const picked = files[random.between(0, files.length - 1)];
  if (!picked) return;
  const { node, group, path, file } = picked;
  const at = random.between(0, file.size - 1);
  const bytes = new Uint8Array(1);
  file.read(bytes, at);
  file.spoil(at, Uint8Array.of((bytes[0] ?? 0) ^ (1 << random.between(0, 7))));
  world.spoiled.set(group, node.id);
  count(world, "a bit was flipped");
  world.trace?.(`--- a bit of ${node.id} ${path} is flipped at ${at}`);
  look(node, group);
}

/** What is spoiled is read, and found. */
export function lookAtSpoiled({ spoiled }: World, nodes: readonly SimNode[]): void {
  for (const [group, node] of spoiled) {
    const found = nodes.find(({ id }) => id === node);
    if (found) look(found, group);
  }
}

/** Whether an error says that bytes of a log are not what they were. */
export function isDamage(error: unknown): boolean {
  return error instanceof TailraceError && error.reason === "damaged";
}

function look({ process }: SimNode, group: number): void {
  if (process?.driver.core.group(group)) process.driver.feed({ kind: "group", group, input: { kind: "damaged" } });
}

/** Segments of a group's log to which nothing is written any more. */
function sealedOf(node: SimNode, group: number, dropped: number): Sealed[] {
  const all = node.disk.files().flatMap(({ path, node: file }) => {
    return path.startsWith(`/data/groups/${group}/`) && path.endsWith(".log") ? [{ node, group, path, file }] : [];
  });
  // The last one grows; of a log that began anew the older files are on their way out.
  const last = all.at(-1)?.path;
  const folder = last?.slice(0, last.lastIndexOf("/") + 1);
  return all.filter(({ path, file }) => {
    const firstIndex = parseSegmentName(path.slice(path.lastIndexOf("/") + 1)) ?? 0;
    return path !== last && path.startsWith(folder ?? "") && file.size > 0 && firstIndex >= dropped;
  });
}

/** Whether it has what is committed: what others are about to drop it drops too. */
function holdsAll({ invariants }: World, { process }: SimNode, group: number): boolean {
  return (process?.driver.core.group(group)?.log.commit ?? 0) >= invariants.committedEnd(group);
}

/** Below this index some replica of a group has dropped its files, or is about to: where the newest base is. */
function dropped(nodes: readonly SimNode[], group: number): number {
  return Math.max(...nodes.map(({ process }) => process?.driver.core.group(group)?.log.base.index ?? 0));
}
