/**
 * Greets those who may be nodes, again and again: the seeds, and whom others told of. Each address is greeted by itself, so that
 * one that does not answer holds up nobody.
 * @module
 */
import type { Clock, Timer } from "../host/clock.ts";
import type { Seeds } from "./seeds.ts";

/** What it stands on. */
export interface GreeterOptions {
  readonly seeds: Seeds;
  readonly clock: Clock;
  /** How long until the next round, as things are now. */
  readonly intervalMs: () => number;
  /** Greets one, and takes its answer; false: nobody of use is there. Never rejects. */
  readonly greet: (address: string) => Promise<boolean>;
  /** Called before each round. */
  readonly onRound: () => void;
}

/** Addresses that others told of, at most. */
const hintsMax = 256;
/** So many greetings without an answer, and a hint is dropped. */
const failuresMax = 10;

/** See the module's description. */
export class Greeter {
  readonly #options: GreeterOptions;
  /** Addresses that others told of, and how often in a row they gave no answer. */
  readonly #hints = new Map<string, number>();
  /** Greetings on their way. */
  readonly #greeting = new Map<string, Promise<void>>();
  #timer: Timer | undefined;
  #isStopped = false;
  #hasGreetedSeeds = false;

  constructor(options: GreeterOptions) {
    this.#options = options;
  }

  /** Whether each seed has had its say once: who is not known by now may not be there. */
  get hasGreetedSeeds(): boolean {
    return this.#hasGreetedSeeds;
  }

  /** Begins. */
  start(): void {
    void this.#round();
  }

  /** A node may be at an address: it is greeted at once, and with each round from now on. */
  hint(address: string): void {
    if (this.#isStopped || this.#hints.has(address) || this.#hints.size >= hintsMax) return;
    this.#hints.set(address, 0);
    void this.#greet(address);
  }

  /** Others that were told of are greeted no more. */
  forgetHints(): void {
    this.#hints.clear();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #round(): Promise<void> {
    const { seeds, onRound, clock, intervalMs } = this.#options;
    const beginMs = clock.monotonicMs();
    onRound();
    await seeds.refresh();
    if (this.#isStopped) return;
    const greeted = [...new Set([...seeds.addresses, ...this.#hints.keys()])].map((address) => this.#greet(address));
    if (!this.#hasGreetedSeeds) {
      void Promise.all(greeted).then(() => {
        this.#hasGreetedSeeds = true;
        if (!this.#isStopped) onRound();
      });
    }
    const leftMs = Math.max(intervalMs() - (clock.monotonicMs() - beginMs), 0);
    this.#timer = clock.after(leftMs, () => void this.#round());
  }

  #greet(address: string): Promise<void> {
    const begun = this.#greeting.get(address);
    if (begun) return begun;
    const greeting = this.#greetOnce(address).finally(() => this.#greeting.delete(address));
    this.#greeting.set(address, greeting);
    return greeting;
  }

  async #greetOnce(address: string): Promise<void> {
    const isAnswered = await this.#options.greet(address);
    const failures = this.#hints.get(address);
    if (failures === undefined) return;
    if (isAnswered) this.#hints.set(address, 0);
    else if (failures + 1 < failuresMax) this.#hints.set(address, failures + 1);
    else this.#hints.delete(address);
  }
}
