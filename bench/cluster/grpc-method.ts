/**
 * A gRPC method with as little around it as there can be, so that a measurement is of the server: what Connect's client and
 * grpc-js cost for a call is more than many servers do, and not the same.
 * @module
 */
import * as http2 from "node:http2";

/** Calls of one method, on one connection. */
export interface GrpcMethod {
  /** Resolves when the answer is there; nobody looks at it. @throws {Error} It says that the call failed. */
  call(message: Uint8Array): Promise<void>;
  close(): void;
}

/** @param path `/package.Service/Method`. */
export function grpcMethod(url: string, path: string): GrpcMethod {
  const session = http2.connect(url);
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc+proto", te: "trailers" };
  return {
    call: (message) =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        let status: string | string[] | undefined;
        let why: string | string[] | undefined;
        const look = (found: http2.IncomingHttpHeaders) => {
          status = found["grpc-status"] ?? status;
          why = found["grpc-message"] ?? why;
        };
        stream.on("response", look);
        stream.on("trailers", look);
        stream.on("error", reject);
        stream.on("close", () => {
          if (status === "0") resolve();
          else reject(new Error(`${path} failed: status ${status ?? "missing"}, ${why ?? "no message"}`));
        });
        stream.resume();
        stream.end(framed(message));
      }),
    close: () => session.close(),
  };
}

/** One message, not compressed (gRPC over HTTP/2: Length-Prefixed-Message). */
function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  return frame;
}
