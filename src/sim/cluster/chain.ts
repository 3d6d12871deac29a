/**
 * All batches of one group that any node ever had, as chains of digests: a digest stands for all before it. What is
 * committed is one of these chains.
 * @module
 */
import { must } from "../must.ts";

/** One batch: a digest, and the one before it. */
interface Link {
  readonly index: number;
  readonly term: number;
  readonly before: string | undefined;
}

/** The batches of a group. */
export class Chain {
  readonly #group: number;
  readonly #links = new Map<string, Link>();
  readonly #placed = new Map<string, string>();
  /** Digests of what is committed, by index. */
  readonly #committed: (string | undefined)[] = [];
  /** Where what is committed ended, as who was in a term knew: it was committed in that one, or before. */
  readonly #endsByTerm = new Map<number, number>();

  constructor(group: number) {
    this.#group = group;
  }

  /** Somebody has a batch. */
  link(link: Link, digest: string): void {
    const place = `${link.index}@${link.term}`;
    const known = this.#placed.get(place) ?? digest;
    must(known === digest, `invariant 2: two batches ${link.index} of term ${link.term} in group ${this.#group}`);
    this.#placed.set(place, digest);
    const linked = this.#links.get(digest);
    if (!linked || linked.before === undefined) this.#links.set(digest, link);
  }

  /** Somebody in `term` says that all below `commit` is committed, and has these digests. */
  committedTo(
    name: string,
    { term, commit }: { readonly term: number; readonly commit: number },
    digests: readonly (string | undefined)[],
  ): void {
    const committed = this.#committed;
    const last = digests[commit - 1];
    if (last === undefined) return;
    this.#endsByTerm.set(term, Math.max(this.#endsByTerm.get(term) ?? 0, commit));
    if (commit <= committed.length) {
      const known = committed[commit - 1];
      must(known === undefined || known === last, `invariant 3: ${name} committed another batch ${commit - 1}`);
      committed[commit - 1] = last;
      return;
    }
    let digest: string | undefined = last;
    for (let index = commit - 1; index >= 0 && digest !== undefined; index--) {
      const known = committed[index];
      if (known !== undefined) {
        must(known === digest, `invariant 3: ${name} committed ${commit - 1}, behind another batch ${index}`);
        break;
      }
      committed[index] = digest;
      digest = this.#links.get(digest)?.before;
    }
  }

  /** First index that is not known to be committed. */
  get committedEnd(): number {
    return this.#committed.length;
  }

  /** First index that is not known to have been committed in a term below this one. */
  committedEndBefore(term: number): number {
    let end = 0;
    for (const [other, committed] of this.#endsByTerm) if (other < term) end = Math.max(end, committed);
    return end;
  }

  /** Digest of what is committed at an index. */
  committedAt(index: number): string | undefined {
    return this.#committed[index];
  }
}
