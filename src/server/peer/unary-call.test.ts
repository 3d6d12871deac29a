import assert from "node:assert/strict";
import * as http2 from "node:http2";
import { after, before, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { systemClock } from "../../host/clock.ts";
import { Http2Session, neverLeft } from "../../host/http2-session.ts";
import { ErrorDetailSchema, Reason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { AppendRequestSchema, AppendResponseSchema, LogService } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { unaryCall } from "./unary-call.ts";

const answerMaxBytes = 1_000;

describe("a unary call to another node", () => {
  const server = http2.createServer();
  let connection: Http2Session;
  /** What the server does with the next request. */
  let serve: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, body: Buffer) => void = () => {};

  before(async () => {
    server.on("stream", (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on("error", () => {});
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => serve(stream, headers, Buffer.concat(chunks)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address);
    connection = new Http2Session(`http://127.0.0.1:${address.port}`);
  });

  after(() => {
    connection.close();
    server.close();
  });

  const call = (more: { timeoutMs?: number; signal?: AbortSignal; connection?: Http2Session } = {}) =>
    unaryCall(
      more.connection ?? connection,
      LogService.method.append,
      { stream: "s", batch: new Uint8Array([1, 2, 3]) },
      {
        ...{ timeoutMs: 10_000, signal: new AbortController().signal, clock: systemClock, answerMaxBytes },
        headers: { "tailrace-forwarded": "n1" },
        ...more,
      },
    );
  const answered = (stream: http2.ServerHttp2Stream, body: Uint8Array) => {
    stream.respond({ ":status": 200, "content-type": "application/proto", "content-length": `${body.length}` });
    stream.end(body);
  };

  test("takes the request there, and the answer back", async () => {
    let path: string | undefined;
    let seen: http2.IncomingHttpHeaders = {};
    serve = (stream, headers, body) => {
      path = headers[":path"];
      seen = headers;
      const { batch } = fromBinary(AppendRequestSchema, body);
      answered(
        stream,
        toBinary(AppendResponseSchema, create(AppendResponseSchema, { nextOffset: BigInt(batch.length) })),
      );
    };
    assert.equal((await call({ timeoutMs: 1234 })).nextOffset, 3n);
    assert.equal(path, "/tailrace.v1.LogService/Append");
    assert.equal(seen["tailrace-forwarded"], "n1");
    assert.equal(seen["connect-timeout-ms"], "1234");
  });

  test("gives the error that is answered, with its details", async () => {
    serve = (stream) => {
      const error = new ConnectError("Not here", Code.Unavailable, undefined, [
        { desc: ErrorDetailSchema, value: { reason: Reason.NOT_LEADER } },
      ]);
      const body = errorToJsonBytes(error, undefined);
      stream.respond({ ":status": 503, "content-type": "application/json", "content-length": `${body.length}` });
      stream.end(body);
    };
    await assert.rejects(call(), (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "Not here"]);
      assert.deepEqual(
        error.findDetails(ErrorDetailSchema).map(({ reason }) => reason),
        [Reason.NOT_LEADER],
      );
      return true;
    });
  });

  test("gives an error where the answer is none", async () => {
    serve = (stream) => {
      stream.respond({ ":status": 404, "content-length": "12" });
      stream.end("nothing here");
    };
    await assert.rejects(call(), { code: Code.Unimplemented });
  });

  test("says that nothing has left, where nobody listens", async () => {
    const nobody = new Http2Session("http://127.0.0.1:1");
    await assert.rejects(call({ connection: nobody }), (error: unknown) => neverLeft(error));
  });

  test("does not know what became of it when the connection ends", async () => {
    serve = (stream) => stream.session?.destroy();
    await assert.rejects(call(), (error: unknown) => !neverLeft(error));
    serve = (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    await assert.rejects(call(), (error: unknown) => !neverLeft(error));
  });

  test("does not take an answer for whole that was cut off", async () => {
    const begun = (then: (stream: http2.ServerHttp2Stream) => void) => (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "content-type": "application/proto", "content-length": "60" });
      // Its beginning leaves before the end does.
      setTimeout(() => then(stream), 20);
    };
    for (const end of [
      (stream: http2.ServerHttp2Stream) => stream.session?.destroy(),
      (stream: http2.ServerHttp2Stream) => stream.destroy(),
      (stream: http2.ServerHttp2Stream) => stream.write(new Uint8Array(10), () => stream.session?.destroy()),
    ]) {
      serve = begun(end);
      await assert.rejects(call(), (error: unknown) => error instanceof Error && !neverLeft(error));
    }
  });

  test("ends when its time is over, there too", async () => {
    const closed = new Promise<void>((resolve) => {
      serve = (stream) => stream.once("close", resolve);
    });
    await assert.rejects(call({ timeoutMs: 50 }), { code: Code.DeadlineExceeded });
    await closed;
  });

  test("ends when nobody waits for it any more, there too", async () => {
    const given = new AbortController();
    const closed = new Promise<void>((resolve) => {
      serve = (stream) => {
        stream.once("close", resolve);
        given.abort();
      };
    });
    await assert.rejects(call({ signal: given.signal }), { code: Code.Canceled });
    await closed;
    await assert.rejects(call({ signal: given.signal }), { code: Code.Canceled });
  });

  test("takes no answer that is too large", async () => {
    serve = (stream) => answered(stream, new Uint8Array(answerMaxBytes + 1));
    await assert.rejects(call(), { code: Code.ResourceExhausted });
  });
});
