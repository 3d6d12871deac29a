/**
 * One HTTP/2 connection to a node, made again when it is gone. connect-node's own manager keeps its session to itself,
 * so the windows can't be widened, and it stays on a dead connection; both cost more than these lines.
 * - A request leaves only when the other side has shown that it speaks HTTP/2, so a failure before that is surely
 *   without effect.
 * - The windows are 8 MiB: with the usual 64 KiB a link of 40 ms carries 1 MB/s.
 * - A connection that answers no ping is destroyed, and all calls on it fail.
 * @module
 */
import http2 from "node:http2";
import { NotConnectedError } from "../client/index.ts";

const windowBytes = 8 << 20;
const connectMaxMs = 10_000;
const pingIntervalMs = 5_000;
/** Pings without an answer before the connection counts as dead. */
const missedPingsMax = 2;

/** See the module's description. A session manager as connect-node takes it. */
export class Http2Session {
  readonly authority: string;
  #session: Promise<http2.ClientHttp2Session> | undefined;

  /** @param authority Scheme, host and port. */
  constructor(authority: string) {
    this.authority = authority;
  }

  async request(method: string, path: string, headers: http2.OutgoingHttpHeaders, options: object) {
    let opened = this.#open();
    let session = await opened;
    // One that got GOAWAY meanwhile takes no more requests.
    if (session.closed || session.destroyed) {
      if (this.#session === opened) this.#session = undefined;
      opened = this.#open();
      session = await opened;
    }
    return session.request({ ...headers, ":method": method, ":path": path }, options);
  }

  notifyResponseByteRead(): void {}

  /** Ends the connection at once, with all calls on it. */
  close(): void {
    this.#session?.then((session) => session.destroy()).catch(() => {});
    this.#session = undefined;
  }

  #open(): Promise<http2.ClientHttp2Session> {
    this.#session ??= connect(this.authority).catch((error: unknown) => {
      this.#session = undefined;
      throw error;
    });
    return this.#session;
  }
}

function connect(authority: string): Promise<http2.ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(authority, { settings: { initialWindowSize: windowBytes } });
    const timer = setTimeout(() => session.destroy(new Error("no answer within 10 s")), connectMaxMs);
    let failure: unknown;
    // Stays for the whole life of the session: an error without a listener would end the process.
    session.on("error", (error) => {
      failure = error;
    });
    session.once("connect", () => session.setLocalWindowSize(windowBytes));
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      keepAlive(session);
      resolve(session);
    });
    session.once("close", () => {
      clearTimeout(timer);
      reject(new NotConnectedError(`${authority} ${whyNotConnected(failure)}`, { cause: failure }));
    });
  });
}

function keepAlive(session: http2.ClientHttp2Session): void {
  let missed = 0;
  const timer = setInterval(() => {
    if (missed === missedPingsMax) return session.destroy(new Error("the node answers no ping"));
    missed++;
    session.ping((error) => {
      if (!error) missed = 0;
    });
  }, pingIntervalMs);
  timer.unref();
  session.once("close", () => clearInterval(timer));
}

/** Completes "http://HOST:PORT ...". */
function whyNotConnected(failure: unknown): string {
  const code = failure instanceof Error && "code" in failure ? String(failure.code) : "";
  if (code === "ECONNREFUSED") return "refuses connections";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "has a host name that is not found";
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return "is not to be reached from here";
  if (code.startsWith("ERR_HTTP2")) return "does not speak HTTP/2";
  if (code.startsWith("ERR_SSL")) return `does not speak TLS (${code})`;
  if (code.includes("CERT") || code.includes("VERIFY")) return `has a certificate that is not trusted here (${code})`;
  if (code !== "") return `gives ${code}`;
  return failure instanceof Error && failure.message !== "" ? `gives ${failure.message}` : "does not speak HTTP/2";
}
