/**
 * The seeds, as their names resolve now: one name may stand for many nodes, and for others from time to time.
 * @module
 */
import { type HostPort, readHostPort, writeHostPort } from "../base/host-port.ts";

/** All addresses of a name; of an address itself. @throws {Error} It is not found. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Most addresses that are greeted. */
const addressesMax = 256;

/** See the module's description. */
export class Seeds {
  readonly #seeds: readonly HostPort[];
  readonly #resolve: Resolve;
  readonly #notFound: (seed: string, error: unknown) => void;
  #addresses: readonly string[] = [];
  #resolving: Promise<void> | undefined;

  /**
   * @param notFound Told of each name that does not resolve, each time.
   * @throws {RangeError} A seed is not `HOST:PORT`.
   */
  constructor(seeds: readonly string[], resolve: Resolve, notFound: (seed: string, error: unknown) => void) {
    this.#seeds = seeds.map((seed) => {
      const found = readHostPort(seed);
      if (!found) throw new RangeError(`the seed "${seed}" is not HOST:PORT`);
      return found;
    });
    this.#resolve = resolve;
    this.#notFound = notFound;
  }

  /** Where they are, `HOST:PORT`, by the last answer. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Asks again; one question at a time. Never rejects. */
  refresh(): Promise<void> {
    this.#resolving ??= this.#refresh().finally(() => {
      this.#resolving = undefined;
    });
    return this.#resolving;
  }

  async #refresh(): Promise<void> {
    const found = await Promise.all(this.#seeds.map((seed) => this.#addressesOf(seed)));
    this.#addresses = [...new Set(found.flat())].slice(0, addressesMax);
  }

  async #addressesOf(seed: HostPort): Promise<string[]> {
    try {
      const hosts = await this.#resolve(seed.host);
      return hosts.map((host) => writeHostPort({ ...seed, host }));
    } catch (error) {
      this.#notFound(writeHostPort(seed), error);
      return [];
    }
  }
}
