import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { type ErrorFacts, type Reason, TailraceError } from "../../base/errors.ts";
import { LostError, UnreachableError } from "../../stream/peers.ts";
import { builtInSettings } from "../../stream/settings.ts";
import { Fate } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { CallEndedError, detailOf, errorMapper, reasons, withDetail } from "../api/errors.ts";
import { forwardedError } from "./forwarded-errors.ts";

const map = errorMapper(pino({ level: "silent" }), 1 << 20);
const never = () => false;
const words = { what: 'Cannot append to stream "s"', why: "there is a reason: this one", todo: "Do something" };
const facts: ErrorFacts = {
  ...{ stream: "s", streamId: 7, logStart: 1, nextOffset: 9, field: "batch", retryAfterMs: 200 },
  limit: { name: "batch_max_bytes", value: 100, actual: 101 },
  settings: { ...builtInSettings, version: 4 },
  producer: { id: new Uint8Array(16).fill(1), epoch: 2, sequence: 3 },
  fence: Uint8Array.of(1, 2),
  leader: { nodeId: "b", url: "http://b:8400" },
};

describe("what another node refused", () => {
  for (const reason of Object.keys(reasons) as Reason[]) {
    test(`is told as it was said there: ${reason}`, () => {
      for (const fate of ["nothing_written", "unknown"] as const) {
        const there = map(new TailraceError(reason, words, { ...facts, fate }), { callId: "there", rpc: "r", fate });
        const here = forwardedError(there, never);
        assert.ok(here instanceof TailraceError);
        assert.deepEqual([here.reason, here.facts.fate, here.todo], [reason, fate, words.todo]);
        const told = map(here, { callId: "here", rpc: "r", fate: "unknown" });
        assert.deepEqual([told.code, told.rawMessage], [there.code, there.rawMessage]);
        assert.deepEqual({ ...detailOf(told), requestId: "" }, { ...detailOf(there), requestId: "" });
        assert.equal(detailOf(told)?.requestId, "here");
      }
    });
  }

  test("by a fault of its own is passed on as it is", () => {
    const fault = withDetail(Code.Internal, "Internal error in call x", { fate: Fate.NOTHING_WRITTEN, requestId: "x" });
    assert.equal(forwardedError(fault, never), fault);
  });
});

describe("a call to another node without an answer", () => {
  const cut = new Error("it was cut");
  const cases = [
    {
      name: "never left",
      error: ConnectError.from(cut),
      left: (error: unknown) => error !== cut,
      is: UnreachableError,
    },
    { name: "broke", error: ConnectError.from(cut), left: () => true, is: LostError },
    {
      name: "took too long here",
      error: new ConnectError("late", Code.DeadlineExceeded),
      left: () => true,
      is: LostError,
    },
    {
      name: "took too long there",
      error: map(new CallEndedError("deadline"), { callId: "there", rpc: "r", fate: "unknown" }),
      left: () => true,
      is: LostError,
    },
    {
      name: "met a failed disk there",
      error: withDetail(Code.Internal, "The node's disk failed", { fate: Fate.UNKNOWN }),
      left: () => true,
      is: LostError,
    },
  ];
  for (const { name, error, left, is } of cases) {
    test(`${name}: ${is.name}`, () => {
      assert.ok(forwardedError(error, (cause) => !left(cause)) instanceof is);
    });
  }
});
