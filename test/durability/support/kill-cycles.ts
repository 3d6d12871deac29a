/**
 * Kills a process with a data folder again and again, and checks after each start that it has all that it must have.
 * @module
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { chooseSeed, type Seeded, seeded } from "../../support/seeded.ts";
import { Ledger } from "./ledger.ts";
import type { Found, LoadOrders, Orders, Said } from "./said.ts";
import { type End, runSubject } from "./subject-process.ts";

/** When a process is killed. */
export interface KillIn {
  /** The phase, as the process calls it. */
  readonly phase: string;
  /** It is killed in one of so many first times that it begins. */
  readonly times: number;
  /** Microseconds after that, at most. */
  readonly withinMicros: number;
  /** In so many of the cycles it must have been under way. */
  readonly atLeast: number;
}

const cycles = 20;
/** More than one process makes. */
const serialsEach = 1_000_000;
const groupsEach = 10_000;

/** One data folder, and the processes that had it. */
export class Life {
  readonly random: Seeded;
  readonly ledger = new Ledger();
  readonly #more: Pick<Orders, "data" | "dump" | "freeSpaceReserve">;
  #starts = 0;

  /** `folder`: for what is not the log's. */
  constructor(name: string, folder: string, more: Partial<Pick<Orders, "data" | "freeSpaceReserve">> = {}) {
    this.random = seeded(chooseSeed(name), 16);
    this.#more = { data: path.join(folder, "data"), dump: path.join(folder, "dump"), ...more };
  }

  /** Starts a process, checks what it found, and lets it run until it ends, killed or not. */
  async run(
    load: LoadOrders | undefined,
    killAfter: (said: Said, begun: ReadonlyMap<string, number>) => number | undefined,
  ): Promise<End> {
    const start = this.#starts++;
    const orders: Orders = {
      ...{ ...this.#more, seed: this.random.between(1, 1e9) },
      ...{ firstSerial: start * serialsEach, firstGroup: 1 + start * groupsEach },
      ...(load ? { load } : {}),
    };
    return await runSubject(orders, (said, begun) => {
      if (said[0] === "found") this.#check(said[1]);
      this.ledger.take(said);
      return killAfter(said, begun);
    });
  }

  /** Starts for good, twice: what an unclean stop leaves, and what a clean one does. */
  async end(): Promise<void> {
    for (let start = 0; start < 2; start++) {
      const { how } = await this.run(undefined, () => undefined);
      assert.equal(how, 0);
    }
  }

  #check({ groups, files }: Found): void {
    this.ledger.check(groups, fs.readFileSync(this.#more.dump));
    // Nothing reads what no record calls for; but it must not stay for ever.
    for (const group of groups) {
      const own = files.filter((name) => name.startsWith(`${group.group}/`));
      const [log] = own.map((name) => name.split("/")[1]);
      const leftover = own.find((name) => {
        const [, number, file] = name.split("/");
        return number !== log || Number.parseInt(file ?? "", 10) < group.baseIndex;
      });
      assert.equal(leftover, undefined, `group ${group.group} begins at ${group.baseIndex}, and has ${leftover}`);
    }
    const there = new Set(groups.map(({ group }) => `${group}`));
    const stray = files.find((name) => !there.has(name.split("/")[0] ?? ""));
    assert.equal(stray, undefined, `${stray} is there, and its group is not`);
  }
}

/** Runs a load in a new folder and kills it in a phase, 20 times. */
export async function killCycles(name: string, folder: string, load: LoadOrders, kill: KillIn): Promise<void> {
  const life = new Life(name, folder);
  const { random } = life;
  let met = 0;
  for (let cycle = 0; cycle < cycles; cycle++) {
    const time = random.between(1, kill.times);
    const after = random.between(0, kill.withinMicros);
    let isOpen = false;
    const { how, underWay } = await life.run(load, (said, begun) => {
      if (said[0] === "found") isOpen = true;
      const begins = said[0] === "begins" ? said[1] : said[0];
      return isOpen && begins === kill.phase && (begun.get(kill.phase) ?? 0) >= time ? after : undefined;
    });
    assert.equal(how, "SIGKILL");
    if (underWay.has(kill.phase)) met++;
  }
  await life.end();
  console.log(
    `${name}: ${life.ledger.acknowledged} batches acknowledged; killed ${cycles} times, ${met} of them within ${kill.phase}`,
  );
  assert.ok(met >= kill.atLeast, `only ${met} of ${cycles} kills met ${kill.phase}`);
}
