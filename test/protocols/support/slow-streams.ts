import { after, before } from "node:test";
import { present } from "../../../src/base/assert.ts";
import type { AppendOptions, ReadRequest, Stream, Streams } from "../../../src/stream/types.ts";
import { allCallers, type Caller } from "./callers.ts";
import { startTestNode, type TestNode } from "./test-node.ts";

/** What appends wait for, or fail with, before they reach the stream behind, and what answers of its reads wait for. */
export interface Gate {
  /** Called at each append; what it rejects with is what the append fails with. */
  beforeAppend: (number: number) => Promise<void>;
  /** Called at each read that was answered, before the answer is given. */
  afterRead: () => Promise<void>;
  /** Appends that were passed on by the server, in order: their numbers. */
  readonly passedOn: number[];
}

/** Streams whose appends and reads go through a gate. */
export function gated(streams: Streams): { streams: Streams; gate: Gate } {
  const gate: Gate = { beforeAppend: () => Promise.resolve(), afterRead: () => Promise.resolve(), passedOn: [] };
  let count = 0;
  const wrap = (stream: Stream): Stream =>
    new Proxy(stream, {
      get(target, name) {
        if (name === "append") {
          return async (payload: Uint8Array, options: AppendOptions) => {
            const number = count++;
            gate.passedOn.push(number);
            await gate.beforeAppend(number);
            return target.append(payload, options);
          };
        }
        if (name === "read") {
          return async (request: ReadRequest) => {
            const result = await target.read(request);
            await gate.afterRead();
            return result;
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return {
    gate,
    streams: {
      get: (name, streamId) => wrap(streams.get(name, streamId)),
      find: async (name, streamId) => wrap(await streams.find(name, streamId)),
      getForAppend: async (name, streamId) => wrap(await streams.getForAppend(name, streamId)),
      create: async (name, settings) => {
        const { stream, created } = await streams.create(name, settings);
        return { stream: wrap(stream), created };
      },
      delete: (name, streamId) => streams.delete(name, streamId),
      caughtUp: () => streams.caughtUp(),
      list: (request) => streams.list(request),
    },
  };
}

/** A node whose appends go through a gate, and a caller a protocol, until the tests of the file are done. */
export function gatedNode(): { readonly node: TestNode; readonly gate: Gate; readonly callers: readonly Caller[] } {
  const started: { node?: TestNode; gate?: Gate; callers: Caller[] } = { callers: [] };
  before(async () => {
    started.node = await startTestNode({
      wrap: (streams) => {
        const { streams: behind, gate } = gated(streams);
        started.gate = gate;
        return behind;
      },
    });
    started.callers = allCallers(started.node.url);
  });
  after(async () => {
    for (const caller of started.callers) caller.close();
    await started.node?.close();
  });
  return {
    get node() {
      return present(started.node, "the node has started");
    },
    get gate() {
      return present(started.gate, "the node has started");
    },
    get callers() {
      return started.callers;
    },
  };
}

/** Resolves after `ms`. */
export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
