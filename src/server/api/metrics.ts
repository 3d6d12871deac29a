import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { AppendAnswer, BatchSlice } from "../../stream/types.ts";

/** Values of the label `protocol`. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "rest";

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface CallCount {
  readonly labels: { readonly rpc: string; readonly protocol: string; readonly code: string };
  count: number;
}

/** What the api port counts. Labels have few values, none of them a user's: rpc, protocol and code. */
export class ApiMetrics {
  readonly #calls = new Map<string, CallCount>();
  readonly #seconds: Histogram<"rpc">;
  readonly #secondsByRpc = new Map<string, { observe(value: number): void }>();
  // Plain numbers, read at a scrape: a counter of the library costs an append more than all else that is counted here.
  readonly #sums = { appendedBatches: 0, appendedRecords: 0, appendedBytes: 0, readRecords: 0, readBytes: 0 };
  #tails = 0;
  #connectionsRefused = 0;

  /** @param open Asked at each scrape. */
  constructor(registry: Registry, open: { calls(): number; connections(): number }) {
    const registers = [registry];
    const counter = (name: string, help: string, value: () => number) =>
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(value());
        },
      });
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    const calls = this.#calls;
    new Counter({
      name: "tailrace_calls_total",
      help: "Calls that ended, by RPC or route, protocol and Connect code",
      labelNames: ["rpc", "protocol", "code"],
      registers,
      collect() {
        this.reset();
        for (const { labels, count } of calls.values()) this.inc(labels, count);
      },
    });
    this.#seconds = new Histogram({
      name: "tailrace_call_seconds",
      help: "Time from the first byte of a unary call to its answer",
      labelNames: ["rpc"],
      buckets: latencyBuckets,
      registers,
    });
    const sums = this.#sums;
    counter("tailrace_appended_batches_total", "Batches acknowledged to clients", () => sums.appendedBatches);
    counter("tailrace_appended_records_total", "Records acknowledged to clients", () => sums.appendedRecords);
    counter("tailrace_appended_bytes_total", "Bytes of payloads acknowledged to clients", () => sums.appendedBytes);
    counter("tailrace_read_records_total", "Records given to readers and tails", () => sums.readRecords);
    counter("tailrace_read_bytes_total", "Bytes of the batches given to readers and tails", () => sums.readBytes);
    gauge("tailrace_tails", "Tails that are open", () => this.#tails);
    gauge("tailrace_open_calls", "Calls that are open, tails included", open.calls);
    gauge("tailrace_connections", "Connections to the api port", open.connections);
    const refusedHelp = "Connections refused by connections_max";
    counter("tailrace_connections_refused_total", refusedHelp, () => this.#connectionsRefused);
  }

  /** @param seconds Absent for streams, whose length says nothing of the node. */
  called(rpc: string, protocol: Protocol, code: string, seconds?: number): void {
    const key = `${rpc} ${protocol} ${code}`;
    const counted = this.#calls.get(key);
    if (counted === undefined) this.#calls.set(key, { labels: { rpc, protocol, code }, count: 1 });
    else counted.count++;
    if (seconds === undefined) return;
    let histogram = this.#secondsByRpc.get(rpc);
    if (histogram === undefined) {
      histogram = this.#seconds.labels(rpc);
      this.#secondsByRpc.set(rpc, histogram);
    }
    histogram.observe(seconds);
  }

  appended(answer: AppendAnswer, bytes: number): void {
    if (answer.duplicate) return;
    const { startOffset, nextOffset } = answer;
    this.#sums.appendedBatches++;
    this.#sums.appendedRecords += nextOffset - startOffset;
    this.#sums.appendedBytes += bytes;
  }

  read(batches: readonly BatchSlice[]): void {
    for (const { batch, take } of batches) {
      this.#sums.readRecords += take;
      this.#sums.readBytes += batch.payload.length;
    }
  }

  tailOpened(): void {
    this.#tails++;
  }

  tailClosed(): void {
    this.#tails--;
  }

  connectionRefused(): void {
    this.#connectionsRefused++;
  }
}
