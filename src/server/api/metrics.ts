import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { BatchSlice, Receipt } from "../../stream/types.ts";

/** Values of the label `protocol`. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "rest";

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What the api port counts. Labels have few values, none of them a user's: rpc, protocol and code. */
export class ApiMetrics {
  readonly #calls: Counter<"rpc" | "protocol" | "code">;
  readonly #seconds: Histogram<"rpc">;
  readonly #callsByLabels = new Map<string, { inc(): void }>();
  readonly #secondsByRpc = new Map<string, { observe(value: number): void }>();
  readonly #appendedBatches: Counter;
  readonly #appendedRecords: Counter;
  readonly #appendedBytes: Counter;
  readonly #readRecords: Counter;
  readonly #readBytes: Counter;
  readonly #tails: Gauge;
  readonly #connectionsRefused: Counter;

  /** @param open Asked at each scrape. */
  constructor(registry: Registry, open: { calls(): number; connections(): number }) {
    const registers = [registry];
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    this.#calls = new Counter({
      name: "tailrace_calls_total",
      help: "Calls that ended, by RPC or route, protocol and Connect code",
      labelNames: ["rpc", "protocol", "code"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "tailrace_call_seconds",
      help: "Time from the first byte of a unary call to its answer",
      labelNames: ["rpc"],
      buckets: latencyBuckets,
      registers,
    });
    this.#appendedBatches = counter("tailrace_appended_batches_total", "Batches acknowledged to clients");
    this.#appendedRecords = counter("tailrace_appended_records_total", "Records acknowledged to clients");
    this.#appendedBytes = counter("tailrace_appended_bytes_total", "Bytes of payloads acknowledged to clients");
    this.#readRecords = counter("tailrace_read_records_total", "Records given to readers and tails");
    this.#readBytes = counter("tailrace_read_bytes_total", "Bytes of the batches given to readers and tails");
    this.#tails = new Gauge({ name: "tailrace_tails", help: "Tails that are open", registers });
    this.#connectionsRefused = counter("tailrace_connections_refused_total", "Connections refused by connections_max");
    new Gauge({
      name: "tailrace_open_calls",
      help: "Calls that are open, tails included",
      registers,
      collect() {
        this.set(open.calls());
      },
    });
    new Gauge({
      name: "tailrace_connections",
      help: "Connections to the api port",
      registers,
      collect() {
        this.set(open.connections());
      },
    });
  }

  /** @param seconds Absent for streams, whose length says nothing of the node. */
  called(rpc: string, protocol: Protocol, code: string, seconds?: number): void {
    const key = `${rpc} ${protocol} ${code}`;
    let count = this.#callsByLabels.get(key);
    if (count === undefined) {
      count = this.#calls.labels(rpc, protocol, code);
      this.#callsByLabels.set(key, count);
    }
    count.inc();
    if (seconds === undefined) return;
    let histogram = this.#secondsByRpc.get(rpc);
    if (histogram === undefined) {
      histogram = this.#seconds.labels(rpc);
      this.#secondsByRpc.set(rpc, histogram);
    }
    histogram.observe(seconds);
  }

  appended({ startOffset, nextOffset }: Receipt, bytes: number): void {
    this.#appendedBatches.inc();
    this.#appendedRecords.inc(nextOffset - startOffset);
    this.#appendedBytes.inc(bytes);
  }

  read(batches: readonly BatchSlice[]): void {
    let records = 0;
    let bytes = 0;
    for (const { batch, take } of batches) {
      records += take;
      bytes += batch.payload.length;
    }
    if (batches.length === 0) return;
    this.#readRecords.inc(records);
    this.#readBytes.inc(bytes);
  }

  tailOpened(): void {
    this.#tails.inc();
  }

  tailClosed(): void {
    this.#tails.dec();
  }

  connectionRefused(): void {
    this.#connectionsRefused.inc();
  }
}
