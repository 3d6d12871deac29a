import { FileNode } from "./file-node.ts";
import type { SimRandom } from "./random.ts";

/** A name that was given or taken away: of this file or folder, or of nothing. */
interface NameChange {
  readonly name: string;
  readonly node: FileNode | FolderNode | undefined;
}

/**
 * A folder of the simulated disk: the names that processes see, and those on the disk. Names that were not synced
 * survive a power cut or not, each on its own.
 */
export class FolderNode {
  readonly kind = "folder";
  #names = new Map<string, FileNode | FolderNode>();
  #onDisk = new Map<string, FileNode | FolderNode>();
  #changes: NameChange[] = [];
  /** How many changes were made durable: a sync counts from the beginning. */
  #synced = 0;

  get names(): ReadonlyMap<string, FileNode | FolderNode> {
    return this.#names;
  }

  /** Gives a name, or takes it away. */
  set(name: string, node: FileNode | FolderNode | undefined): void {
    if (node) this.#names.set(name, node);
    else this.#names.delete(name);
    this.#changes.push({ name, node });
  }

  /** A name is lost, whatever was synced. */
  lose(name: string): void {
    this.#names.delete(name);
    this.#onDisk.delete(name);
    this.#changes = this.#changes.filter((change) => change.name !== name);
  }

  /** It is back. */
  giveBack(name: string, node: FileNode | FolderNode): void {
    this.#names.set(name, node);
    this.#onDisk.set(name, node);
  }

  /** Another folder, with copies of all that is on the disk below this one. */
  copyOfDisk(): FolderNode {
    const copy = new FolderNode();
    for (const [name, node] of this.#onDisk) copy.giveBack(name, node.copyOfDisk());
    return copy;
  }

  /** What a sync that is called now will make durable. */
  beginSync(): number {
    return this.#synced + this.#changes.length;
  }

  endSync(upTo: number): void {
    const count = Math.max(upTo - this.#synced, 0);
    for (const change of this.#changes.splice(0, count)) this.#persist(change);
    this.#synced += count;
  }

  /** The power goes. `survives`: whether a change of a name is on the disk, where a test decides it. */
  powerCut(random: SimRandom, survives?: (name: string, isGiven: boolean) => boolean): void {
    const share = random.pick([0, 1, 0.5]);
    const lastOf = new Map<string, number>();
    for (const [i, { name, node }] of this.#changes.entries()) {
      if (survives ? survives(name, node !== undefined) : random.chance(share)) lastOf.set(name, i);
    }
    for (const i of lastOf.values()) {
      const change = this.#changes[i];
      if (change) this.#persist(change);
    }
    this.#changes = [];
    this.#names = new Map(this.#onDisk);
  }

  #persist({ name, node }: NameChange): void {
    if (node) this.#onDisk.set(name, node);
    else this.#onDisk.delete(name);
  }
}

/** All files and folders below a folder, and itself. */
export function* nodesBelow(folder: FolderNode): Generator<{ path: string; node: FileNode | FolderNode }> {
  yield { path: "", node: folder };
  for (const [name, node] of folder.names) {
    if (node instanceof FileNode) yield { path: `/${name}`, node };
    else for (const below of nodesBelow(node)) yield { path: `/${name}${below.path}`, node: below.node };
  }
}
