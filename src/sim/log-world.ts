import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Hash } from "../host/hash.ts";
import type { SimDisk } from "./disk.ts";
import type { GroupModel, Stage } from "./log-model.ts";
import type { LogPlan } from "./log-plan.ts";
import type { SimRandom } from "./random.ts";

/** What the lives of a run share. */
export interface LogWorld {
  readonly disk: SimDisk;
  readonly random: SimRandom;
  readonly plan: LogPlan;
  readonly hash: Hash;
  readonly groups: Map<number, GroupModel>;
  /** Told of everything, where somebody listens. */
  readonly trace: ((line: string) => void) | undefined;
  lastGroup: number;
  lastAppend: number;
  /** The folder was opened once: from now on it is one. */
  isMade: boolean;
}

/** The groups that are at one of these stages. */
export function* groupsAt(world: LogWorld, ...stages: readonly Stage[]): Generator<GroupModel> {
  for (const model of world.groups.values()) if (stages.includes(model.stage)) yield model;
}

/** Whether an error says that nothing was written. */
export function isRefusal(error: unknown): boolean {
  return error instanceof NoRoomError || (error instanceof TailraceError && error.reason !== "damaged");
}
