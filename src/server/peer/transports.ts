/**
 * Transports to other nodes' peer ports, by URL: each with one connection, which is opened with the first request, and again when
 * it is gone. The least recently used go, since addresses that nobody is at any more come and go.
 * @module
 */
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { PeerConnection } from "./peer-network.ts";

const transportsMax = 256;
/** Largest answer: a range of batches is the largest there is. */
const answerMaxBytes = 17 << 20;

interface Open {
  readonly transport: Transport;
  readonly connection: { close(): void };
}

/** See the module's description. */
export class Transports {
  readonly #connect: (url: string) => PeerConnection & { close(): void };
  readonly #open = new Map<string, Open>();

  /** @param connect Makes a connection to a URL. Certificates are its business. */
  constructor(connect: (url: string) => PeerConnection & { close(): void }) {
    this.#connect = connect;
  }

  /** The one to `HOST:PORT`. */
  to(address: string): Transport {
    const url = `http://${address}`;
    const known = this.#open.get(url);
    if (known) {
      this.#open.delete(url);
      this.#open.set(url, known);
      return known.transport;
    }
    const connection = this.#connect(url);
    const transport = createConnectTransport({
      ...{ baseUrl: url, httpVersion: "2", sessionManager: connection, acceptCompression: [] },
      readMaxBytes: answerMaxBytes,
    });
    this.#open.set(url, { transport, connection });
    const [oldest] = this.#open;
    if (this.#open.size > transportsMax && oldest) {
      this.#open.delete(oldest[0]);
      oldest[1].connection.close();
    }
    return transport;
  }

  /** Ends all connections. */
  close(): void {
    for (const { connection } of this.#open.values()) connection.close();
    this.#open.clear();
  }
}
