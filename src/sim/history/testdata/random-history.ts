/**
 * Random histories that are right: clients call and are answered at random moments, and each call takes effect in
 * between, at the sequential log. Some clients give up; what they called takes effect later, or never.
 * All digests are the same: the sequential log has none.
 * @module
 */
import fc from "fast-check";
import type { AppendOperation, LogBatch, Moment, Operation, ReadOperation } from "../history.ts";
import { endOf, judge, recordsOf, type State, written } from "../model.ts";
import { failed, moment, seen, unknown } from "./build.ts";
import { appendCall, type Choice, choices, fenceCall, readCall } from "./random-calls.ts";

/** What happened on stream `s`, and the log in the end. */
export interface Story {
  readonly history: readonly Operation[];
  readonly log: readonly LogBatch[];
}

/** What happens next: to one of the clients, to one who has gone, or to the log. */
type Kind = Operation["kind"] | "effect" | "return" | "fail" | "give up" | "late" | "control";

/** How often each is drawn. */
const kinds: readonly (readonly [Kind, number])[] = [
  ["append", 9],
  ["fence", 1],
  ["read", 6],
  ["effect", 6],
  ["return", 14],
  ["fail", 1],
  ["give up", 1],
  ["late", 2],
  ["control", 1],
];

/** Most calls of a story: all orders of them are tried. */
const callsMax = 12;

const digest = "-";

const happenings = fc.record({
  kind: fc.oneof(...kinds.map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) }))),
  client: fc.nat(2),
  choice: choices,
});

/** Stories of one stream. `controls`: with control batches that no client asked for. */
export function stories({ controls }: { controls: boolean }): fc.Arbitrary<Story> {
  return fc.array(happenings, { minLength: 15, maxLength: 80, size: "max" }).map((all) => {
    const teller = new Teller();
    for (const { kind, client, choice } of all) {
      if (controls || kind !== "control") teller.tell(kind, client, choice);
    }
    return teller.end();
  });
}

/** A call that is not over. */
interface Pending {
  readonly called: Operation;
  readonly choice: Choice;
  /** What its client will be told, once it took effect. */
  answer?: Answer;
}

type Answer = (returned: Moment) => Operation;

class Teller {
  #state: State = [];
  #order = 0;
  #calls = 0;
  readonly #pending = new Map<number, Pending>();
  readonly #gone: Pending[] = [];
  readonly #history: Operation[] = [];
  /** The first try of each producer's batch: the others ask for the same. */
  readonly #firstTries = new Map<string, AppendOperation>();

  tell(kind: Kind, client: number, choice: Choice): void {
    const pending = this.#pending.get(client);
    switch (kind) {
      case "append":
      case "fence":
      case "read":
        if (pending || this.#calls === callsMax) return;
        this.#pending.set(client, { called: this.#call(kind, client, choice), choice });
        return;
      case "effect":
        if (pending) this.#effect(pending);
        return;
      case "return":
        if (pending) this.#over(client, this.#effect(pending)(this.#now()));
        return;
      case "fail":
        if (pending && !pending.answer) this.#over(client, { ...pending.called, outcome: failed(this.#now()) });
        return;
      case "give up":
        if (!pending) return;
        this.#over(client, { ...pending.called, outcome: unknown(this.#now()) });
        this.#gone.push(pending);
        return;
      case "late": {
        const late = this.#gone[choice.answer % Math.max(this.#gone.length, 1)];
        if (late) this.#effect(late);
        return;
      }
      case "control":
        this.#state = [...this.#state, { index: this.#state.length, baseOffset: endOf(this.#state), count: 0 }];
    }
  }

  /** Who still waits knows nothing. */
  end(): Story {
    for (const { called } of this.#pending.values()) this.#history.push(called);
    return { history: this.#history, log: this.#state.map((batch) => ({ ...batch, digest })) };
  }

  #now(): Moment {
    this.#order += 1;
    return moment(this.#order);
  }

  #over(client: number, operation: Operation): void {
    this.#pending.delete(client);
    this.#history.push(operation);
  }

  #call(kind: Operation["kind"], client: number, choice: Choice): Operation {
    this.#calls += 1;
    const caller = { client, invoked: this.#now(), call: this.#calls };
    if (kind === "fence") return fenceCall(caller, choice);
    if (kind === "read") return readCall(this.#state, caller, choice);
    const called = appendCall(this.#state, caller, choice);
    const firstTry = this.#firstTries.get(called.value) ?? called;
    this.#firstTries.set(called.value, firstTry);
    const { invoked } = caller;
    return { ...firstTry, client, invoked };
  }

  #effect(pending: Pending): Answer {
    const { called, choice } = pending;
    pending.answer ??= this.#answer(called, choice);
    return pending.answer;
  }

  #answer(called: Operation, choice: Choice): Answer {
    switch (called.kind) {
      case "append":
        return this.#append(called, choice);
      case "fence": {
        const nextOffset = endOf(this.#state);
        this.#state = written(this.#state, called);
        return (returned) => ({ ...called, outcome: { kind: "ok", returned, nextOffset } });
      }
      case "read":
        return readAnswer(this.#state, called, choice);
    }
  }

  #append(called: AppendOperation, { answer }: Choice): Answer {
    const verdict = judge(this.#state, called);
    const place = { index: this.#state.length, baseOffset: endOf(this.#state) };
    switch (verdict.kind) {
      case "taken": {
        this.#state = written(this.#state, called);
        const isOwnFirst = called.producer !== undefined && answer === 0;
        if (isOwnFirst) return (returned) => ({ ...called, outcome: { kind: "duplicate", returned, first: place } });
        const nextOffset = place.baseOffset + called.count;
        return (returned) => ({ ...called, outcome: { kind: "ok", returned, ...place, nextOffset, digest } });
      }
      case "duplicate": {
        const { index, baseOffset } = verdict.first;
        const first = answer < 3 ? {} : { first: { index, baseOffset } };
        return (returned) => ({ ...called, outcome: { kind: "duplicate", returned, ...first } });
      }
      case "refused":
        return (returned) => ({ ...called, outcome: { kind: "refused", returned, shown: verdict.shown } });
    }
  }
}

/** All there is, or what there was at some time if the read may lag; perhaps a part of it. */
function readAnswer(state: State, called: ReadOperation, { answer, size }: Choice): Answer {
  const { consistency, from } = called;
  const shown = consistency.kind === "linearizable" ? state : state.slice(0, answer % (state.length + 1));
  const highWatermark = endOf(shown);
  if (consistency.kind === "atLeast" && highWatermark < consistency.offset) {
    return (returned) => ({ ...called, outcome: failed(returned) });
  }
  const all = recordsOf(shown, from).map((batch) => seen({ ...batch, digest }));
  const isLimited = size % 4 === 0 && all.length > 1;
  const batches = isLimited ? all.slice(0, 1 + (answer % (all.length - 1))) : all;
  const outcome = { kind: "ok", batches, highWatermark, ...(isLimited && { isLimited }) } as const;
  return (returned) => ({ ...called, outcome: { ...outcome, returned } });
}
