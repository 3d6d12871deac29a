/**
 * How the other nodes are, as they say themselves. All are asked at once, and each not again within a moment, however many look.
 * Who looks again and again is not held up: an answer counts until the next one is there, for as long as that is not too old.
 * @module
 */
import type { Clock } from "../host/clock.ts";
import type { NodeId } from "../raft/types.ts";
import type { ServerHealth } from "../server/api/cluster-view.ts";

/** A node is asked again after so long, milliseconds. */
const askAgainMs = 2_000;
/** An answer counts for so long: those that are told of changes look every 5 s. */
const countsMs = 6_000;

/** What is known of a node. */
interface Asked {
  /** When it was asked last. */
  readonly atMs: number;
  readonly answer: Promise<ServerHealth | undefined>;
  /** What it answered last, asked then. */
  said: { readonly atMs: number; readonly health: ServerHealth | undefined } | undefined;
}

/** See the module's description. */
export class PeerHealths {
  readonly #ask: (node: NodeId) => Promise<ServerHealth | undefined>;
  readonly #clock: Clock;
  readonly #asked = new Map<NodeId, Asked>();

  /** @param ask Asks a node; undefined: there was no answer in time. Never rejects. */
  constructor(ask: (node: NodeId) => Promise<ServerHealth | undefined>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** How these nodes are; those that gave no answer are left out. */
  async of(nodes: readonly NodeId[]): Promise<ReadonlyMap<NodeId, ServerHealth>> {
    const wanted = new Set(nodes);
    for (const node of this.#asked.keys()) if (!wanted.has(node)) this.#asked.delete(node);
    const answers = nodes.map(async (node) => [node, await this.#healthOf(node)] as const);
    return new Map((await Promise.all(answers)).flatMap(([node, health]) => (health ? [[node, health]] : [])));
  }

  #healthOf(node: NodeId): ServerHealth | undefined | Promise<ServerHealth | undefined> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#asked.get(node);
    const asked = known && nowMs < known.atMs + askAgainMs ? known : this.#askAgain(node, known?.said, nowMs);
    return asked.said && nowMs < asked.said.atMs + countsMs ? asked.said.health : asked.answer;
  }

  #askAgain(node: NodeId, said: Asked["said"], atMs: number): Asked {
    const answer = this.#ask(node);
    const asked: Asked = { atMs, answer, said };
    this.#asked.set(node, asked);
    void answer.then((health) => {
      asked.said = { atMs, health };
    });
    return asked;
  }
}
