/**
 * At most one session of a pair of nodes counts: what still comes on one that another ended, or that comes late, changes
 * nothing (invariant 16).
 * @module
 */
import type { Hello, Input } from "../../raft/inputs.ts";
import type { Effect } from "../../raft/turn.ts";
import type { NodeId } from "../../raft/types.ts";
import { must } from "../must.ts";

/** The sessions at one process. */
export class SessionWatch {
  readonly #node: NodeId;
  readonly #counted = new Map<NodeId, Hello>();

  constructor(node: NodeId) {
    this.#node = node;
  }

  /** A step was taken. */
  stepped(input: Input, effects: readonly Effect[]): void {
    switch (input.kind) {
      case "accepted": {
        const { hello } = input;
        const known = this.#counted.get(hello.from);
        const ended = effects.flatMap((effect) => (effect.kind === "endSession" ? [effect.hello] : []));
        if (known && !isLater(hello, known)) {
          must(ended.includes(hello), `invariant 16: ${this.#node} takes a session of ${hello.from} that is older`);
          return;
        }
        if (known) must(ended.includes(known), `invariant 16: ${this.#node} counts two sessions of ${hello.from}`);
        this.#counted.set(hello.from, hello);
        return;
      }
      case "ended":
        if (this.#counted.get(input.hello.from) === input.hello) this.#counted.delete(input.hello.from);
        return;
      case "fromFollower": {
        if (this.#counted.get(input.hello.from) === input.hello) return;
        const changed = effects.find(({ kind }) => kind === "commit" || kind === "answerRead" || kind === "read");
        must(
          !changed,
          `invariant 16: ${this.#node} counts what comes on a session of ${input.hello.from} that is over`,
        );
        return;
      }
      default:
    }
  }
}

function isLater(one: Hello, than: Hello): boolean {
  if (one.disk !== than.disk) return true;
  return one.incarnation === than.incarnation ? one.number > than.number : one.incarnation > than.incarnation;
}
