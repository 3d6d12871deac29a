import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { describe, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { toRequestError } from "../client/errors.ts";
import { Http2Session, neverLeft } from "./http2-session.ts";

describe("a request that fails", () => {
  test("on its way as the other side ends the connection was surely not looked at", async () => {
    const server = http2.createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address);
    const session = new Http2Session(`http://127.0.0.1:${address.port}`);
    try {
      const failure = await new Promise<unknown>((resolve) => {
        const request = async () => {
          const stream = await session.request("POST", "/", {}, {});
          stream.once("error", resolve);
          stream.resume().end();
        };
        server.once("stream", (stream) => {
          stream.on("error", () => {});
          stream.session?.close();
          // It leaves before it is known that none is taken any more.
          void request().catch(resolve);
        });
        void request();
      });
      assert.equal(neverLeft(failure), true);
      const { kind, nothingWritten } = toRequestError(ConnectError.from(failure));
      assert.deepEqual({ kind, nothingWritten }, { kind: "unreachable", nothingWritten: true });
    } finally {
      session.close();
      server.close();
    }
  });

  for (const { code, message, isSure } of [
    {
      code: "ERR_HTTP2_GOAWAY_SESSION",
      message: "New streams cannot be created after receiving a GOAWAY",
      isSure: true,
    },
    {
      code: "ERR_HTTP2_STREAM_ERROR",
      message: "Stream closed with error code NGHTTP2_REFUSED_STREAM",
      isSure: true,
    },
    {
      code: "ERR_HTTP2_STREAM_ERROR",
      message: "Stream closed with error code NGHTTP2_INTERNAL_ERROR",
      isSure: false,
    },
    { code: "ECONNRESET", message: "socket hang up", isSure: false },
  ]) {
    test(`with "${message}" ${isSure ? "was surely not" : "may have been"} looked at`, () => {
      const cause = Object.assign(new Error(message), { code });
      assert.equal(neverLeft(new Error("it failed", { cause })), isSure);
    });
  }
});
