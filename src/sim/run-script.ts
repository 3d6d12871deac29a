/**
 * What a run does, as a list that can be written down, shortened and run again: its lives, and the steps of each.
 * - What a step does is drawn from the seed and the step's number, so it is the same whatever other steps there are.
 * @module
 */
import { type Counted, type Ending, endingOf, type LogPlan } from "./log-plan.ts";
import { numbersIn, numbersTo, rangesOf } from "./number-ranges.ts";
import { SimRandom } from "./random.ts";

/** One life. */
export interface LifeScript extends Ending {
  /** Its draws are those of the life with this number in the whole run. */
  readonly number: number;
  /** Numbers of its steps. */
  readonly steps: readonly number[];
}

/** The lives of a run, in order. */
export type RunScript = readonly LifeScript[];

/** The whole run of a seed. */
export function scriptOf(seed: number, plan: LogPlan): RunScript {
  return Array.from({ length: plan.lives }, (_, number) => {
    const random = SimRandom.of(seed, number);
    const life = {
      number,
      ...endingOf(random, plan.endings),
      steps: numbersTo(random.skewed(plan.stepsMin, plan.stepsMax)),
    };
    const { idle, afterWork } = plan.endings;
    const what = random.fraction();
    if (what < idle) return { ...life, atCall: Number.POSITIVE_INFINITY, steps: [] };
    return what < idle + afterWork ? { ...life, atCall: Number.POSITIVE_INFINITY } : life;
  });
}

const letters = { close: "c", kill: "k", "power cut": "p" } as const;
const kinds = { c: "close", k: "kill", p: "power cut" } as const;
const countedLetters = { all: "", segments: "s", turns: "t" } as const satisfies Record<Counted, string>;

/** Writes a script as one word, such as `0k35+:0-4,7/1c:0,1`: lives, each with its number, end, call and steps. `s`, `t`: of the calls about segments, of the turns to another journal file. */
export function scriptText(script: RunScript): string {
  return script
    .map(({ number, kind, atCall, counts, powerCutAfter, steps }) => {
      const call = Number.isFinite(atCall) ? `${atCall}${countedLetters[counts]}` : "";
      return `${number}${letters[kind]}${call}${powerCutAfter ? "+" : ""}:${rangesOf(steps)}`;
    })
    .join("/");
}

/** Reads what `scriptText` wrote. @throws {RangeError} It is none. */
export function readScript(text: string): RunScript {
  return text.split("/").map((life) => {
    const found = /^(\d+)([ckp])(\d*)([st]?)(\+?):([\d,-]*)$/.exec(life) ?? [];
    const [, number, letter, call, counts, plus, steps = ""] = found;
    if (letter !== "c" && letter !== "k" && letter !== "p") throw new RangeError(`"${life}" is no life of a run`);
    return {
      number: Number(number),
      kind: kinds[letter],
      atCall: call ? Number(call) : Number.POSITIVE_INFINITY,
      counts: counts === "s" ? "segments" : counts === "t" ? "turns" : "all",
      powerCutAfter: plus === "+",
      steps: numbersIn(steps),
    };
  });
}
