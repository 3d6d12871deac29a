/**
 * Rumors that wait to be passed on, at most one about each member: a newer one takes an older one's place.
 * Those sent least often go first. Each is sent so many times and then no more (SWIM 4.1).
 * @module
 */
import { rumorBytes } from "./message-size.ts";
import type { NodeId, Rumor } from "./types.ts";

interface Waiting {
  readonly rumor: Rumor;
  readonly bytes: number;
}

/** No rumor is smaller. */
const rumorMinBytes = 24;

/** The queue of one member. */
export class Broadcasts {
  /** By how often they were sent; within each, in the order in which they came there. */
  readonly #bySends: Map<NodeId, Waiting>[] = [];
  readonly #sends = new Map<NodeId, number>();

  get size(): number {
    return this.#sends.size;
  }

  /** Whether something about this member waits. */
  has(id: NodeId): boolean {
    return this.#sends.has(id);
  }

  put(id: NodeId, rumor: Rumor): void {
    this.#remove(id);
    this.#place(id, { rumor, bytes: rumorBytes(rumor) }, 0);
  }

  /** Takes the one out that was sent most often: whom it is about. */
  dropMostSent(): NodeId | undefined {
    const most = this.#bySends.findLast((waiting) => waiting.size > 0);
    const id = most?.keys().next().value;
    if (id !== undefined) this.#remove(id);
    return id;
  }

  /** Rumors for one message, together at most `maxBytes`. Each sent `sendsMax` times now is dropped. */
  take(maxBytes: number, sendsMax: number): Rumor[] {
    const taken: { id: NodeId; waiting: Waiting; sends: number }[] = [];
    let left = maxBytes;
    for (const [sends, all] of this.#bySends.entries()) {
      for (const [id, waiting] of all) {
        if (left < rumorMinBytes) break;
        if (waiting.bytes > left) continue;
        left -= waiting.bytes;
        taken.push({ id, waiting, sends });
      }
    }
    for (const { id, waiting, sends } of taken) {
      this.#remove(id);
      if (sends + 1 < sendsMax) this.#place(id, waiting, sends + 1);
    }
    return taken.map(({ waiting }) => waiting.rumor);
  }

  #place(id: NodeId, waiting: Waiting, sends: number): void {
    while (this.#bySends.length <= sends) this.#bySends.push(new Map());
    this.#bySends[sends]?.set(id, waiting);
    this.#sends.set(id, sends);
  }

  #remove(id: NodeId): void {
    const sends = this.#sends.get(id);
    if (sends === undefined) return;
    this.#bySends[sends]?.delete(id);
    this.#sends.delete(id);
  }
}
