import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Weather } from "./host.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const program = fileURLToPath(new URL("./tap-switch.ts", import.meta.url));

/** The switch that `tap-switch.ts` is, while it runs. */
export class TapSwitch {
  readonly #child: ChildProcess;
  readonly #said: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  private constructor() {
    // Whatever runs the tests: the program calls the system in Bun's way.
    const bun = path.join(root, "node_modules", ".bin", "bun");
    this.#child = spawn(bun, [program], { stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = once(this.#child, "exit");
    if (!this.#child.stdout) throw new Error("a child with pipes has an output");
    this.#said = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  static async start(): Promise<TapSwitch> {
    return new TapSwitch();
  }

  /** Makes a device whose other end is in the switch. */
  async plug(name: string, number: number): Promise<void> {
    await this.#order({ plug: name, number });
  }

  async weather(weather: Weather): Promise<void> {
    await this.#order({ weather });
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #order(order: object): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { done } = await this.#said.next();
    if (done) throw new Error("the program of the switch has ended");
  }
}
