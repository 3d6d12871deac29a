/**
 * Damage of files between two lives: bits flipped, ends lost, whole files gone. The log must notice: it refuses to start,
 * calls the group damaged, or refuses to read what is damaged; an index file is made anew.
 * Nothing is planted where it can't be told from what a crash leaves: above a mark, or in the journal's newest frame.
 * @module
 */
import { allZero } from "../base/bytes.ts";
import { readId } from "../log/folder-id.ts";
import { frameHeader, idFile, parseSegmentName } from "../log/format.ts";
import { FrameReader } from "../log/frame-reader.ts";
import { JournalReplay, type ReplayedGroup } from "../log/journal-replay.ts";
import { replay, type ScannedRing, scanRing } from "../log/ring-scan.ts";
import { FileNode } from "./file-node.ts";
import { FolderNode } from "./folder-node.ts";
import type { LogWorld } from "./log-world.ts";
import { must } from "./must.ts";
import type { SimRandom } from "./random.ts";
import { stillDisk } from "./still-disk.ts";

/** Damage that was done. */
export interface PlantedDamage {
  readonly path: string;
  readonly what: string;
  /** Nobody may start on it. */
  readonly refusesStart: boolean;
  /** Makes it as if it had never been. */
  readonly undo: () => void;
}

/** Plants damage, if there is anything to spoil. The model knows of it from then on. */
export async function plantDamage(world: LogWorld, random: SimRandom): Promise<PlantedDamage | undefined> {
  const kind = random.pick(["segment", "segment", "segment", "index", "index", "journal", "journal", "id"] as const);
  const planted = await plantIn[kind](world, random);
  if (!planted) return undefined;
  world.disk.count(`damage planted: ${kind}, ${planted.what}`);
  world.trace?.(`--- damage: ${planted.path}, ${planted.what}`);
  return planted;
}

type Planter = (world: LogWorld, random: SimRandom) => Promise<PlantedDamage | undefined>;

const plantIn: Record<"segment" | "index" | "journal" | "id", Planter> = {
  segment: plantInSegment,
  index: plantInIndex,
  journal: plantInJournal,
  id: async (world, random) => {
    // A folder in which nothing was written yet is made anew without an id.
    const ways: readonly Way[] = isUsed(world) ? ["flip", "cut", "remove"] : ["flip", "cut"];
    return spoil(world, random, { path: "/data/id", from: 0, to: idFile.bytes, refusesStart: true, ways });
  },
};

/** Whether the journal has more than the one frame of a first start. */
function isUsed({ disk }: LogWorld): boolean {
  const first = disk.find("/data/journal/0");
  return first instanceof FileNode && !allZero(first.content().subarray(frameHeader.border));
}

/** Below the mark of a log, in any of its files. */
async function plantInSegment(world: LogWorld, random: SimRandom): Promise<PlantedDamage | undefined> {
  const flushed = [...(await replayed(world)).groups].filter(
    ([group, { state }]) => state.mark.position > 0 && world.groups.get(group)?.stage === "made",
  );
  const [first, ...rest] = flushed;
  if (!first) return undefined;
  const [group, known] = random.pick([first, ...rest]);
  const stores = storesOf(world, group, known);
  const [store, ...others] = stores;
  if (!store) return undefined;
  const picked = random.pick([store, ...others]);
  const model = world.groups.get(group);
  must(model !== undefined, `group ${group} is in the journal, and was never made`);
  const planted = spoil(world, random, { path: picked.path, from: 0, to: picked.syncedBytes, refusesStart: false });
  if (planted) model.isSpoiled = true;
  return planted;
}

/** The files of a log, and how much of each is below its mark. */
function storesOf(world: LogWorld, group: number, { state, logNumber }: ReplayedGroup) {
  const folder = `/data/groups/${group}/${logNumber}`;
  const node = world.disk.find(folder);
  const names = node instanceof FolderNode ? [...node.names.keys()] : [];
  const { mark, base } = state;
  return names
    .map((name) => ({ name, firstIndex: parseSegmentName(name) ?? -1 }))
    .filter(({ firstIndex }) => firstIndex >= base.index && firstIndex <= mark.segment)
    .sort((a, b) => a.firstIndex - b.firstIndex)
    .map(({ name, firstIndex }) => {
      const path = `${folder}/${name}`;
      const file = world.disk.find(path);
      const size = file instanceof FileNode ? file.size : 0;
      return { path, syncedBytes: firstIndex === mark.segment ? Math.min(mark.position, size) : size };
    });
}

async function plantInIndex(world: LogWorld, random: SimRandom): Promise<PlantedDamage | undefined> {
  const files = world.disk.files().filter(({ path }) => path.endsWith(".index"));
  const [first, ...rest] = files;
  if (!first) return undefined;
  const { path, node } = random.pick([first, ...rest]);
  return spoil(world, random, { path, from: 0, to: node.size, refusesStart: false });
}

/** In a frame that counts, but not the newest: that one's loss is a torn end. */
async function plantInJournal(world: LogWorld, random: SimRandom): Promise<PlantedDamage | undefined> {
  const { ring, reader } = await scanned(world);
  const frames: { path: string; position: number; length: number; isLast: boolean }[] = [];
  for (const run of ring.live) {
    for await (const { number, position, bytes } of reader(run.path).frames()) {
      if (number === ring.newest.last || number <= ring.newest.freed) continue;
      frames.push({ path: run.path, position, length: bytes.length, isLast: run === ring.newest });
    }
  }
  const [first, ...rest] = frames;
  if (!first) return undefined;
  const { path, position, length, isLast } = random.pick([first, ...rest]);
  // With the newest file's end its newest frames go: that is a torn end.
  const ways: readonly Way[] = isLast ? ["flip", "remove"] : ["flip", "cut", "remove"];
  return spoil(world, random, { path, from: position, to: position + length, refusesStart: true, ways });
}

async function scanned(world: LogWorld) {
  const { hash } = world;
  const disk = stillDisk(world.disk);
  const id = world.disk.find("/data/id");
  must(id instanceof FileNode, "there is no id to read");
  const owner = readId(id.content(), "/data/id", hash);
  const place = { folder: "/data/journal", owner, disk, hash };
  const ring: ScannedRing = await scanRing(place);
  const reader = (path: string) => {
    const run = ring.runs.find((candidate) => candidate.path === path);
    must(run !== undefined, `${path} is not in the ring`);
    return new FrameReader(run.file, owner, hash);
  };
  return { place, ring, reader };
}

/** What a start will find in the journal. */
async function replayed(world: LogWorld): Promise<JournalReplay> {
  const { place, ring } = await scanned(world);
  const found = new JournalReplay(world.hash);
  const fileBytes = world.plan.settings.journalFileBytes;
  for await (const frame of replay(place, ring, fileBytes)) found.apply(frame);
  found.finish();
  return found;
}

type Way = "flip" | "cut" | "remove";

function spoil(
  world: LogWorld,
  random: SimRandom,
  of: { path: string; from: number; to: number; refusesStart: boolean; ways?: readonly Way[] },
): PlantedDamage | undefined {
  const { path, from, to, refusesStart } = of;
  const node = world.disk.find(path);
  if (!(node instanceof FileNode) || to <= from) return undefined;
  const [first = "flip", ...rest] = of.ways ?? ["flip", "cut", "remove"];
  const what = random.pick([first, ...rest]);
  const at = random.between(from, to - 1);
  const content = node.content();
  const done = { path, what, refusesStart };
  switch (what) {
    case "flip": {
      const before = content.slice(at, at + 1);
      node.spoil(
        at,
        before.map((byte) => byte ^ (1 << random.between(0, 7))),
      );
      return { ...done, undo: () => node.spoil(at, before) };
    }
    case "cut":
      node.spoilEnd(at);
      return { ...done, undo: () => node.restore(content) };
    case "remove": {
      const { folder, name } = world.disk.above(path);
      folder.lose(name);
      return { ...done, undo: () => folder.giveBack(name, node) };
    }
  }
}
