/**
 * What readers of a stream are told whose first records are gone. Here it only looks so, at moments that a test chooses;
 * `streams/trim.test.ts` trims.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TailraceError } from "../../src/base/errors.ts";
import type { Stream, Streams } from "../../src/stream/types.ts";
import { Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { payloadOf } from "../support/streams.ts";
import { allCallers, type Caller, callerKinds, type Outcome } from "./support/callers.ts";
import { passed } from "./support/slow-streams.ts";
import { startTestNode, type TestNode } from "./support/test-node.ts";

let logStart = 0;
let node: TestNode;
let callers: Caller[] = [];
before(async () => {
  node = await startTestNode({ wrap: trimmed });
  callers = allCallers(node.url);
  const stream = await node.streams.getForAppend("s");
  for (const value of ["0", "1", "2", "3", "4"]) await stream.append(payloadOf(value));
});
after(async () => {
  for (const caller of callers) caller.close();
  await node.close();
});

/** Streams that give nothing below `logStart`. */
function trimmed(streams: Streams): Streams {
  const check = (offset: number, stream: Stream) => {
    if (offset >= logStart) return;
    const words = { what: "Cannot read", why: `${logStart} is the first that is kept`, todo: `Read from ${logStart}` };
    const facts = { stream: stream.name, logStart, nextOffset: stream.highWatermark };
    throw new TailraceError("below_log_start", words, facts);
  };
  const wrap = (stream: Stream): Stream =>
    new Proxy(stream, {
      get(target, name) {
        if (name === "logStart") return logStart;
        if (name === "read") {
          return async (...[request]: Parameters<Stream["read"]>) => {
            check(request.startOffset, target);
            return target.read(request);
          };
        }
        if (name === "resolve") {
          return async (...[start]: Parameters<Stream["resolve"]>) => {
            if (start.at === "earliest") return logStart;
            if (start.at === "offset") check(start.offset, target);
            return target.resolve(start);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return {
    get: (name, streamId) => wrap(streams.get(name, streamId)),
    find: async (name, streamId) => wrap(await streams.find(name, streamId)),
    getForAppend: async (name, streamId) => wrap(await streams.getForAppend(name, streamId)),
    create: (name, settings) => streams.create(name, settings),
    delete: (name, streamId) => streams.delete(name, streamId),
    caughtUp: () => streams.caughtUp(),
    list: (request) => streams.list(request),
  };
}

function told({ error }: Outcome) {
  const { reason, logStart: first, nextOffset, field } = error?.detail ?? {};
  return [error?.code, reason, first, nextOffset, field];
}

for (const [number, { name }] of callerKinds().entries())
  describe(name, () => {
    const call = async (rpc: string, request: Parameters<Caller["call"]>[1]): Promise<Outcome> => {
      const caller = callers[number];
      assert.ok(caller);
      return caller.call(rpc, request);
    };

    test("below the log start is refused, with where it is", { timeout: 20_000 }, async () => {
      logStart = 2;
      const read = await call("LogService/Read", { stream: "s", start: { offset: "1" } });
      assert.deepEqual(told(read), ["out_of_range", Reason.BELOW_LOG_START, 2n, 5n, ""]);
      const tail = await call("LogService/Tail", { streams: [{ stream: "s", start: { offset: "1" } }] });
      assert.deepEqual(told(tail), ["out_of_range", Reason.BELOW_LOG_START, 2n, 5n, "streams[0].start"]);
    });
  });

test("a gap is a frame of its own, and reading goes on after it", { timeout: 20_000 }, async () => {
  logStart = 0;
  const [caller] = callers;
  assert.ok(caller);
  const open = caller.call("LogService/Tail", {
    streams: [{ stream: "s", start: { earliest: true }, endOffset: "7" }],
    heartbeatMs: 100,
  });
  await passed(300);
  const stream = node.streams.get("s");
  logStart = 6;
  await stream.append(payloadOf("5"));
  await stream.append(payloadOf("6"));
  const { answers } = await open;
  const kinds = answers.map((answer) =>
    Object.keys(answer)
      .filter((key) => key !== "stream")
      .join(),
  );
  assert.deepEqual(
    kinds.filter((kind) => kind !== "heartbeat"),
    ["batch", "batch", "batch", "batch", "batch", "gap", "batch", "end"],
  );
  assert.deepEqual(answers.find((answer) => "gap" in answer)?.["gap"], { startOffset: "5", nextOffset: "6" });
});
