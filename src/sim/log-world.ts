import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Hash } from "../host/hash.ts";
import { BatchRefusedError } from "../log/stored-batch.ts";
import type { DataFolder } from "../log/types.ts";
import type { Coverage } from "./coverage.ts";
import type { SimDisk } from "./disk.ts";
import type { GroupModel, Stage } from "./log-model.ts";
import type { LogPlan } from "./log-plan.ts";
import { Broken } from "./must.ts";
import type { PlantedDamage } from "./planted-damage.ts";
import type { SimRandom } from "./random.ts";

/** What the lives of a run share. */
export interface LogWorld {
  readonly seed: number;
  readonly disk: SimDisk;
  readonly plan: LogPlan;
  readonly coverage: Coverage;
  readonly hash: Hash;
  readonly groups: Map<number, GroupModel>;
  /** Told of everything, where somebody listens. */
  readonly trace: ((line: string) => void) | undefined;
  lastGroup: number;
  lastAppend: number;
  /** Damage that the next start meets. */
  planted: PlantedDamage | undefined;
  /** The folder was opened once: from now on it is one. */
  isMade: boolean;
}

/** What those who work in one life share. */
export interface LifeContext {
  readonly world: LogWorld;
  readonly folder: DataFolder;
  readonly clock: Clock;
  /** For what is drawn outside of steps. */
  readonly random: SimRandom;
  /** A write or sync failed: nobody knows what became of what was on its way. */
  readonly hasFailed: () => boolean;
  /** Looks after a piece of work, and fails the run with it. */
  readonly spawn: (work: Promise<void>) => void;
  /** Waits until all of that is done. */
  readonly quiet: () => Promise<void>;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The groups that are at one of these stages. */
export function* groupsAt(world: LogWorld, ...stages: readonly Stage[]): Generator<GroupModel> {
  for (const model of world.groups.values()) if (stages.includes(model.stage)) yield model;
}

/**
 * What an error says of the thing that was asked for: nothing of it was done, nobody knows, or files are damaged.
 * @throws {Broken} It may not be.
 */
export function outcomeOf(
  error: unknown,
  what: string,
  { world, hasFailed }: Pick<LifeContext, "world" | "hasFailed">,
  model: GroupModel,
): "refused" | "unknown" | "damaged" {
  if (error instanceof DiskError && hasFailed()) return "unknown";
  if (error instanceof BatchRefusedError) return "refused";
  if (error instanceof NoRoomError) {
    world.disk.count(`refused: ${error.code ?? "no room"}`);
    return "refused";
  }
  if (error instanceof TailraceError && error.reason === "damaged") {
    if (model.isSpoiled) return "damaged";
  } else if (error instanceof TailraceError) {
    world.disk.count(`refused: ${error.facts.limit?.name ?? error.reason}`);
    return "refused";
  }
  throw error instanceof Broken ? error : new Broken(`${what}: ${error instanceof Error ? error.stack : error}`);
}
