/**
 * A stream of appends: requests are taken while earlier ones are still on their way to the disk, and answered in order.
 * - A request that can't be taken is found before the next one is looked at, and nothing after it is.
 * - At most `append_stream_max_in_flight` wait for their answer; then the client's next request is not read.
 * @module
 */
import { invalidField, TailraceError } from "../../base/errors.ts";
import type { AppendAnswer, AppendSeries, Stream } from "../../stream/types.ts";
import type { Call } from "./call.ts";
import { type ApiContext, openStreams } from "./context.ts";
import { renamed } from "./renamed.ts";
import type { AppendCommand } from "./requests.ts";
import { Waker } from "./waker.ts";

/**
 * Turns of the microtask queue in which a refusal arrives, however many promises it comes through. They are waited before
 * a request is passed on, so that a refusal that has been decided (a limit, a deleted stream, want of room) stops it.
 */
const refusalTurns = 16;

interface InFlight {
  readonly outcome: Promise<AppendAnswer>;
  readonly payloadBytes: number;
}

/**
 * Yields a receipt a request. Fails with a ConnectError that has the number of the request that failed.
 * @param requests Each a function that gives the command, or throws what is wrong with it.
 */
export async function* appendStream(
  api: ApiContext,
  requests: AsyncIterable<() => AppendCommand>,
  call: Call,
): AsyncGenerator<AppendAnswer> {
  const intake = new Intake(api, requests, call);
  const stop = call.onEnd(intake.stop);
  let number = 0;
  try {
    void intake.run();
    for (;;) {
      const next = await intake.next();
      if (next === undefined) break;
      const receipt = await call.race(next.outcome);
      api.metrics.appended(receipt, next.payloadBytes);
      intake.answered();
      number++;
      yield receipt;
    }
    if (intake.failure !== undefined) throw intake.failure.error;
    if (call.ended !== undefined) throw call.ended;
  } catch (error) {
    // What was passed on may be written, whatever ended the call; what was refused before that surely is not.
    const fate = error === intake.failure?.error ? "nothing_written" : "unknown";
    const refusal = number === 0 ? await intake.refusal(error) : error;
    throw api.mapError(refusal, { callId: call.id, rpc: call.rpc, fate, requestNumber: number });
  } finally {
    stop();
    intake.stop();
  }
}

/** Takes requests, passes them to the stream, and holds what is on its way. */
class Intake {
  /** Why no further request is taken, if it is for an error. */
  failure: { readonly error: unknown } | undefined;
  readonly #api: ApiContext;
  readonly #requests: AsyncIterator<() => AppendCommand>;
  readonly #call: Call;
  readonly #inFlight: InFlight[] = [];
  /** Requests that were taken and not yet answered: those in flight, and the one whose outcome is waited for. */
  #unanswered = 0;
  readonly #filled = new Waker();
  readonly #emptied = new Waker();
  #isStopped = false;
  #hasEnded = false;
  #stream: Stream | undefined;
  #isById = false;
  /** Those behind one that is refused are refused, though they may be on their way already. */
  readonly #series: AppendSeries = { isBroken: false };

  constructor(api: ApiContext, requests: AsyncIterable<() => AppendCommand>, call: Call) {
    this.#api = api;
    this.#requests = requests[Symbol.asyncIterator]();
    this.#call = call;
  }

  /** Takes no further request; `next` gives what is on its way. */
  readonly stop = (): void => {
    this.#isStopped = true;
    this.#series.ended?.();
    this.#emptied.wake();
    this.#filled.wake();
  };

  /** The oldest request on its way; `undefined` when there is none and none will come. */
  async next(): Promise<InFlight | undefined> {
    for (;;) {
      const first = this.#inFlight.shift();
      if (first !== undefined) return first;
      if (this.#hasEnded || this.#isStopped) return undefined;
      await this.#filled.sleep();
    }
  }

  /** The oldest request is answered: there is room for one more. */
  answered(): void {
    this.#unanswered--;
    this.#emptied.wake();
  }

  /**
   * What the client is told where nothing was taken: with the name of a stream that is gone it is to come again, since what has
   * the name now is known here from then on. Requests behind the first may be on their way, so they are not sent again here.
   */
  async refusal(error: unknown): Promise<unknown> {
    const stream = this.#stream;
    if (stream === undefined || this.#isById) return error;
    try {
      await renamed(this.#api, stream, error, this.#call, (streams, name) =>
        streams.getForAppend(name, undefined, this.#call),
      );
    } catch (told) {
      return told;
    }
    return anotherHasName(stream.name);
  }

  /** Takes requests until there are no more, one fails, or it is stopped. Never rejects. */
  async run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        if (this.#unanswered >= this.#api.limits.appendStreamMaxInFlight) {
          await this.#emptied.sleep();
          continue;
        }
        const request = await this.#requests.next();
        for (let turn = 0; turn < refusalTurns && !this.#isStopped; turn++) await undefined;
        if (request.done === true || this.#isStopped) break;
        await this.#take(request.value());
      }
    } catch (error) {
      this.failure = { error };
    }
    this.#hasEnded = true;
    this.#filled.wake();
  }

  async #take(command: AppendCommand): Promise<void> {
    const stream = await this.#streamOf(command);
    const outcome = stream.append(command.payload, { ...command.options, series: this.#series });
    // A refusal ends the intake; it is told to the client in its turn, by `next`.
    outcome.catch(this.stop);
    this.#unanswered++;
    this.#inFlight.push({ outcome, payloadBytes: command.payload.length });
    this.#filled.wake();
  }

  async #streamOf({ stream: name, streamId, isRefusedElsewhere }: AppendCommand): Promise<Stream> {
    const known = this.#stream;
    if (known === undefined) {
      if (isRefusedElsewhere) this.#call.refuseElsewhere();
      this.#isById = streamId !== undefined;
      this.#stream = await this.#call.race(openStreams(this.#api).getForAppend(name, streamId, this.#call));
      return this.#stream;
    }
    if (name !== "" && name !== known.name) {
      const why = `it is "${name}", and was "${known.name}" in the request before`;
      throw invalidField("stream", why, "Leave it empty after the first request, or append to one stream a call");
    }
    if (streamId !== undefined && streamId !== known.id) {
      const why = `it is ${streamId}, and the stream's id is ${known.id}`;
      throw invalidField("stream_id", why, "Leave it out after the first request");
    }
    return known;
  }
}

function anotherHasName(name: string): TailraceError {
  const words = {
    what: `Cannot append to stream "${name}"`,
    why: "the stream that this node knew by that name is deleted, and another one has the name",
    todo: "Send it again: it goes to that one",
  };
  return new TailraceError("not_ready", words, { stream: name, fate: "nothing_written" });
}
