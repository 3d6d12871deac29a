/**
 * Names in the order of their bytes, kept so: a page costs a binary search and its own length, however many there are.
 * Names are ASCII, so the order of strings is that of bytes.
 * @module
 */
import { isSystemName } from "../base/stream-name.ts";

/** A page of names. */
export interface NamePage {
  readonly names: readonly string[];
  /** Whether others follow. */
  readonly hasMore: boolean;
}

export class SortedNames {
  readonly #names: string[];

  /** @param names In any order, each once. */
  constructor(names: Iterable<string>) {
    this.#names = [...names].sort(byBytes);
  }

  /** Adds a name that is not there. */
  add(name: string): void {
    this.#names.splice(this.#firstNotBelow(name), 0, name);
  }

  /** Takes away a name that is there. */
  delete(name: string): void {
    this.#names.splice(this.#firstNotBelow(name), 1);
  }

  /** Names that begin with `prefix`, after `after`; the system's only where the prefix is theirs. */
  page(request: { prefix: string; after?: string; limit: number }): NamePage {
    const { prefix, after, limit } = request;
    const withSystem = isSystemName(prefix);
    const names: string[] = [];
    let at = this.#firstNotBelow(prefix);
    if (after !== undefined && after >= prefix) at = Math.max(at, this.#firstAbove(after));
    for (; at < this.#names.length; at++) {
      const name = this.#names[at] ?? "";
      if (!name.startsWith(prefix)) break;
      if (isSystemName(name) && !withSystem) continue;
      if (names.length === limit) return { names, hasMore: true };
      names.push(name);
    }
    return { names, hasMore: false };
  }

  #firstAbove(name: string): number {
    const at = this.#firstNotBelow(name);
    return this.#names[at] === name ? at + 1 : at;
  }

  #firstNotBelow(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
