/**
 * One HTTP/2 connection to a server, made again when it is gone. connect-node's own manager keeps its session to itself,
 * so the windows can't be widened, and it stays on a dead connection; both cost more than these lines.
 * - A request leaves only when the other side has shown that it speaks HTTP/2, so a failure before that is surely
 *   without effect.
 * - The windows are 8 MiB: with the usual 64 KiB a link of 40 ms carries 1 MB/s.
 * - A connection that answers no ping is destroyed, and all calls on it fail.
 * @module
 */
import http2 from "node:http2";
import { wasNotTaken } from "../base/http2-errors.ts";

/** No byte of a request has left: there is nobody to speak HTTP/2 with. */
export class NotReachedError extends Error {
  override readonly name = "NotReachedError";
  /** The machine is there, and says that nobody listens. */
  readonly isRefused: boolean;

  constructor(message: string, isRefused: boolean, cause: unknown) {
    super(message, { cause });
    this.isRefused = isRefused;
  }
}

/** Whether an error, or what caused it, says that nobody listens there. */
export function isRefused(error: unknown): boolean {
  if (error instanceof NotReachedError) return error.isRefused;
  return error instanceof Error && isRefused(error.cause);
}

/** Whether an error, or what caused it, says that nothing of the request was looked at: there was no connection, or one that takes no more. */
export function neverLeft(error: unknown): boolean {
  return hasNoConnection(error) || wasNotTaken(error);
}

function hasNoConnection(error: unknown): boolean {
  return error instanceof NotReachedError || (error instanceof Error && hasNoConnection(error.cause));
}

/** How patient a connection is, milliseconds. */
export interface Http2SessionOptions {
  /** How long it may take until the other side speaks HTTP/2 (10,000). */
  readonly connectMaxMs?: number;
  /** How often it is asked for a sign of life (5,000). */
  readonly pingIntervalMs?: number;
  /** Makes the error of a request that could not leave (`NotReachedError`). */
  readonly notReached?: (message: string, isRefused: boolean, cause: unknown) => Error;
}

const windowBytes = 8 << 20;
/** Pings without an answer before the connection counts as dead. */
const missedPingsMax = 2;

/** See the module's description. A session manager as connect-node takes it. */
export class Http2Session {
  readonly authority: string;
  readonly #options: Required<Http2SessionOptions>;
  #session: Promise<http2.ClientHttp2Session> | undefined;

  /** @param authority Scheme, host and port. */
  constructor(authority: string, options: Http2SessionOptions = {}) {
    this.authority = authority;
    this.#options = { ...defaultOptions, ...options };
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
    // Said by hand, since Deno leaves out the brackets of IPv6.
    const { host } = new URL(this.authority);
    return session.request({ ...headers, ":method": method, ":path": path, ":authority": host }, options);
  }

  notifyResponseByteRead(): void {}

  /** Ends the connection at once, with all calls on it. */
  close(): void {
    this.#session?.then(drop).catch(() => {});
    this.#session = undefined;
  }

  #open(): Promise<http2.ClientHttp2Session> {
    this.#session ??= connect(this.authority, this.#options).catch((error: unknown) => {
      this.#session = undefined;
      throw error;
    });
    return this.#session;
  }
}

const defaultOptions: Required<Http2SessionOptions> = {
  connectMaxMs: 10_000,
  pingIntervalMs: 5_000,
  notReached: (message, refused, cause) => new NotReachedError(message, refused, cause),
};

function connect(authority: string, options: Required<Http2SessionOptions>): Promise<http2.ClientHttp2Session> {
  const { connectMaxMs, pingIntervalMs, notReached } = options;
  return new Promise((resolve, reject) => {
    const session = http2.connect(authority, { settings: { initialWindowSize: windowBytes } });
    let failure: unknown;
    const timer = setTimeout(() => {
      failure = new Error(`no answer within ${connectMaxMs / 1000} s`);
      drop(session);
    }, connectMaxMs);
    // Stays for the whole life of the session: an error without a listener would end the process.
    session.on("error", (error) => {
      failure ??= error;
    });
    session.once("connect", () => session.setLocalWindowSize(windowBytes));
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      keepAlive(session, pingIntervalMs);
      resolve(session);
    });
    session.once("close", () => {
      clearTimeout(timer);
      reject(notReached(`${authority} ${whyNotConnected(failure)}`, codeOf(failure) === refusedCode, failure));
    });
  });
}

function keepAlive(session: http2.ClientHttp2Session, pingIntervalMs: number): void {
  let missed = 0;
  const timer = setInterval(() => {
    // Between its end and the word of it a ping would throw.
    if (session.destroyed) return;
    if (missed === missedPingsMax) return drop(session);
    missed++;
    try {
      session.ping((error) => {
        if (!error) missed = 0;
      });
    } catch {
      // On Deno one that is being torn down throws: nothing comes of it any more.
      session.destroy();
    }
  }, pingIntervalMs);
  timer.unref();
  session.once("close", () => clearInterval(timer));
}

/** Completes "http://HOST:PORT ...". */
function whyNotConnected(failure: unknown): string {
  const code = codeOf(failure);
  if (code === refusedCode) return "refuses connections";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "has a host name that is not found";
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return "is not to be reached from here";
  if (code.startsWith("ERR_HTTP2")) return "does not speak HTTP/2";
  if (code.startsWith("ERR_SSL")) return `does not speak TLS (${code})`;
  if (code.includes("CERT") || code.includes("VERIFY")) return `has a certificate that is not trusted here (${code})`;
  if (code !== "") return `gives ${code}`;
  return failure instanceof Error && failure.message !== "" ? `gives ${failure.message}` : "does not speak HTTP/2";
}

const isDeno = "Deno" in globalThis;

/**
 * Ends a session at once, with all calls on it. On Deno (2.9) one that is destroyed while requests are on their way corrupts the
 * memory of the process, which ends by it sooner or later: there its socket is destroyed, and the session follows.
 */
function drop(session: http2.ClientHttp2Session): void {
  if (session.destroyed) return;
  if (isDeno) session.socket.destroy();
  else session.destroy();
}

const refusedCode = "ECONNREFUSED";

function codeOf(failure: unknown): string {
  return failure instanceof Error && "code" in failure ? String(failure.code) : "";
}
