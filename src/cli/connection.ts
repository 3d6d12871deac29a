import { createConnectTransport } from "@connectrpc/connect-node";
import { createClient, NotConnectedError, type TailraceClient, toRequestError } from "../client/index.ts";
import { Http2Session } from "../host/http2-session.ts";

/** A client, and how to hang up. */
export interface Connection {
  readonly client: TailraceClient;
  close(): void;
}

/** Largest message to take: a read's answer of one batch of 8 MiB, with room for the fields beside it. */
const messageMaxBytes = 16 << 20;

/** Connects at the first request. Speaks Connect, which costs both sides less than gRPC, over HTTP/2, without packing. */
export function connectTo(server: string): Connection {
  const session = new Http2Session(new URL(server).origin, {
    notReached: (message, _isRefused, cause) => new NotConnectedError(message, { cause }),
  });
  const transport = createConnectTransport({
    httpVersion: "2",
    baseUrl: server,
    sessionManager: session,
    acceptCompression: [],
    readMaxBytes: messageMaxBytes,
  });
  return { client: createClient(transport), close: () => session.close() };
}

/** Calls, and hangs up. @throws {RequestError} What the call was answered with. */
export async function withClient<T>(server: string, call: (client: TailraceClient) => Promise<T>): Promise<T> {
  const { client, close } = connectTo(server);
  try {
    return await call(client);
  } catch (error) {
    throw toRequestError(error);
  } finally {
    close();
  }
}
