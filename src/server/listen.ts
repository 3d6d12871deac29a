/**
 * One port for HTTP/1.1 and HTTP/2 without TLS: the first bytes of a connection say which, and it is handed to the
 * server of that. Connections are counted, watched, and closed here.
 * @module
 */
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import type { Clock, Timer } from "../host/clock.ts";

export type Incoming = http.IncomingMessage | http2.Http2ServerRequest;
export type Outgoing = http.ServerResponse | http2.Http2ServerResponse;

/** Limits of a port. Bytes, milliseconds or counts, as the name ends. */
export interface PortSettings {
  /** Most connections; more are closed as they come. */
  readonly connectionsMax: number;
  /** Most calls that one HTTP/2 connection has open. */
  readonly callsPerConnectionMax: number;
  /** Most bytes of the headers of one request. */
  readonly headersMaxBytes: number;
  /** A connection of HTTP/1.1, or one that has not said what it is, is closed after so long without a call. */
  readonly idleTimeoutMs: number;
  /** An HTTP/2 client is asked for a sign of life so often; one that gives none until the next is dropped. */
  readonly pingIntervalMs: number;
  /** What an HTTP/2 client may send ahead of the server's reading. */
  readonly windowBytes: number;
}

/** The port can't be opened. Says what to do. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly todo: string;
  constructor(message: string, todo: string) {
    super(message);
    this.todo = todo;
  }
}

/** Where a port is. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** One connection of a client. */
interface Connection {
  /** Calls that are open; HTTP/1.1 only. */
  calls: number;
  idleSinceMs: number;
  /** Lets calls end, then closes. */
  close(): void;
  destroy(): void;
  /** Asks for a sign of life; HTTP/2 only. */
  ping?(): void;
}

/** The preface of HTTP/2 begins with it, and no method of HTTP/1.1 does. */
const http2Start = "PRI";
/** How often connections are looked over. */
const sweepIntervalMs = 5_000;
/** How long the last answers have to leave: on Deno a session that is closed drops what was written a moment ago. */
const flushMs = 100;
/** How long connections may take to close by themselves. */
const closeGraceMs = 500;

/** On Deno a socket that was handed to node:http is closed after its first answer, so the client must be told. */
const closesAfterAnswer = "Deno" in globalThis;

/**
 * On Deno (2.9) a session that answers a client's GOAWAY with one of its own ends the whole process, by an assertion of
 * its HTTP/2 library, when streams were closed on it before. Without that answer it ends as soon as its calls have.
 */
const endsOnGoaway = "Deno" in globalThis;

/** A port that feeds requests to `listener`. */
export class Port {
  readonly #settings: PortSettings;
  readonly #clock: Clock;
  readonly #server: net.Server;
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #connections = new Set<Connection>();
  readonly #bySocket = new WeakMap<net.Socket, Connection>();
  readonly #onRefused: () => void;
  readonly #onGarbage: (remote: string, why: string) => void;
  #sweep: Timer | undefined;
  #pingedMs: number;

  /**
   * @param onRefused Called for each connection that is one too many.
   * @param onGarbage Called for what is no HTTP, with the address that it comes from.
   */
  constructor(
    listener: (incoming: Incoming, outgoing: Outgoing) => void,
    settings: PortSettings,
    clock: Clock,
    onRefused: () => void,
    onGarbage: (remote: string, why: string) => void = () => {},
  ) {
    this.#settings = settings;
    this.#clock = clock;
    this.#onRefused = onRefused;
    this.#onGarbage = onGarbage;
    this.#pingedMs = clock.monotonicMs();
    this.#http1 = this.#createHttp1(listener);
    this.#http2 = this.#createHttp2(listener);
    this.#server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Opens the port; 0 takes a free one. */
  listen(host: string, port: number): Promise<Address> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners("error");
        this.#server.on("error", () => {});
        this.#scheduleSweep();
        const address = this.#server.address();
        const actual = typeof address === "object" && address !== null ? address.port : port;
        const urlHost = host.includes(":") ? `[${host}]` : host;
        resolve({ host, port: actual, url: `http://${urlHost}:${actual}` });
      });
    });
  }

  /** Takes no new connection, closes those there are, and cuts off what does not close in a moment. */
  async close(): Promise<void> {
    this.#sweep?.cancel();
    if (this.#connections.size > 0) await this.#passed(flushMs);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    const timer = this.#clock.after(closeGraceMs, () => {
      for (const connection of this.#connections) connection.destroy();
    });
    await closed;
    timer.cancel();
  }

  #passed(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(delayMs, resolve);
    });
  }

  #accept(socket: net.Socket): void {
    // A client that goes is no error of ours; without a listener it would end the process.
    socket.on("error", () => socket.destroy());
    if (this.#connections.size >= this.#settings.connectionsMax) {
      this.#onRefused();
      socket.destroy();
      return;
    }
    const connection: Connection = {
      calls: 0,
      idleSinceMs: this.#clock.monotonicMs(),
      close: () => socket.end(),
      destroy: () => socket.destroy(),
    };
    this.#connections.add(connection);
    this.#bySocket.set(socket, connection);
    socket.on("close", () => this.#connections.delete(connection));
    this.#sniff(socket, connection);
  }

  /** Looks at the first bytes in the form that works on all runtimes: read when readable, and put back. */
  #sniff(socket: net.Socket, connection: Connection, before: Buffer = Buffer.alloc(0)): void {
    socket.once("readable", () => {
      const bytes: Buffer | null = socket.read();
      if (bytes === null) {
        if (!socket.readableEnded) this.#sniff(socket, connection, before);
        return;
      }
      const head = before.length === 0 ? bytes : Buffer.concat([before, bytes]);
      if (head.length < http2Start.length) return this.#sniff(socket, connection, head);
      socket.unshift(head);
      if (head.toString("latin1", 0, http2Start.length) === http2Start) this.#takeHttp2(socket, connection);
      else this.#http1.emit("connection", socket);
    });
  }

  #takeHttp2(socket: net.Socket, connection: Connection): void {
    this.#http2.once("session", (session: http2.ServerHttp2Session) => this.#watch(session, connection));
    this.#http2.emit("connection", socket);
  }

  #watch(session: http2.ServerHttp2Session, connection: Connection): void {
    const remote = session.socket?.remoteAddress ?? "";
    session.on("error", (error) => {
      if (!isBroken(error)) this.#onGarbage(remote, error.message);
      session.destroy();
    });
    if (endsOnGoaway) session.goaway = () => {};
    session.setLocalWindowSize(this.#settings.windowBytes);
    connection.close = () => session.close();
    let isAlive = true;
    connection.ping = () => {
      if (session.destroyed) return;
      if (!isAlive) {
        connection.destroy();
        return;
      }
      isAlive = false;
      try {
        session.ping((error) => {
          isAlive = error === null || error === undefined;
        });
      } catch {
        // On Deno one that is being torn down throws: nothing comes of it any more.
        connection.destroy();
      }
    };
  }

  #createHttp1(listener: (incoming: Incoming, outgoing: Outgoing) => void): http.Server {
    const { headersMaxBytes } = this.#settings;
    // Times are watched by the sweep, since this server does not listen itself and so watches none.
    const server = http.createServer(
      { maxHeaderSize: headersMaxBytes, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 },
      (incoming, outgoing) => {
        this.#begin(incoming, outgoing);
        listener(incoming, outgoing);
      },
    );
    server.on("clientError", (error: NodeJS.ErrnoException, socket: net.Socket) => {
      if (!socket.writable) return;
      if (!isBroken(error)) this.#onGarbage(socket.remoteAddress ?? "", error.message);
      const status = error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
      socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    });
    return server;
  }

  #createHttp2(listener: (incoming: Incoming, outgoing: Outgoing) => void): http2.Http2Server {
    const { windowBytes, callsPerConnectionMax, headersMaxBytes } = this.#settings;
    const server = http2.createServer({
      settings: {
        initialWindowSize: windowBytes,
        maxConcurrentStreams: callsPerConnectionMax,
        maxHeaderListSize: headersMaxBytes,
      },
      // In megabytes; the window of the connection bounds what a client makes the session hold.
      maxSessionMemory: 64,
    });
    server.on("request", listener);
    server.on("sessionError", () => {});
    server.on("error", () => {});
    return server;
  }

  #begin({ socket }: http.IncomingMessage, outgoing: http.ServerResponse): void {
    if (closesAfterAnswer) outgoing.setHeader("connection", "close");
    const connection = this.#bySocket.get(socket);
    if (connection === undefined) return;
    connection.calls++;
    outgoing.once("close", () => {
      connection.calls--;
      connection.idleSinceMs = this.#clock.monotonicMs();
    });
  }

  #scheduleSweep(): void {
    const { idleTimeoutMs, pingIntervalMs } = this.#settings;
    const intervalMs = Math.min(sweepIntervalMs, idleTimeoutMs, pingIntervalMs);
    this.#sweep = this.#clock.after(intervalMs, () => {
      const nowMs = this.#clock.monotonicMs();
      const isPingDue = nowMs - this.#pingedMs >= pingIntervalMs;
      if (isPingDue) this.#pingedMs = nowMs;
      for (const connection of this.#connections) {
        if (connection.ping !== undefined) {
          if (isPingDue) connection.ping();
        } else if (connection.calls === 0 && nowMs - connection.idleSinceMs >= idleTimeoutMs) connection.destroy();
      }
      this.#scheduleSweep();
    });
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): ListenError {
  const place = `${host}:${port}`;
  switch (error.code) {
    case "EADDRINUSE":
      return new ListenError(
        `Cannot listen on ${place}: the port is in use`,
        "Stop what uses it, or choose another port",
      );
    case "EACCES":
      return new ListenError(`Cannot listen on ${place}: not allowed`, "Choose a port of 1024 or more");
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new ListenError(
        `Cannot listen on ${place}: the host is not of this machine`,
        "Choose 127.0.0.1 or 0.0.0.0",
      );
    default:
      return new ListenError(`Cannot listen on ${place}: ${error.message}`, "Choose another host or port");
  }
}

/** The connection is gone: that says nothing of what came over it. */
function isBroken(error: Error): boolean {
  const codes = ["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED", "ERR_HTTP2_SESSION_ERROR"];
  return "code" in error && codes.includes(String(error.code));
}
