/**
 * What the log counts, for /metrics: read at each scrape, so it costs an append nothing.
 * @module
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { LogMetrics } from "../replica/log-door.ts";

/** Registers the metrics of a data folder. `streams`: how many there are, and may be; and their bytes. */
export function registerLogMetrics(
  registry: Registry,
  log: () => LogMetrics,
  streams: { count(): number; readonly max: number; storedBytes(): number; readonly storedMaxBytes: number },
): void {
  const registers = [registry];
  const counter = (name: string, help: string, value: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };

  new Counter({
    name: "tailrace_log_syncs_total",
    help: "Syncs asked of the disk, by what they were for",
    labelNames: ["purpose"],
    registers,
    collect() {
      this.reset();
      const { journal, journalFill, flush, seal, folder, other } = log().syncs;
      const purposes = { journal, journal_fill: journalFill, flush, seal, folder, other };
      for (const [purpose, count] of Object.entries(purposes)) this.inc({ purpose }, count);
    },
  });
  counter("tailrace_journal_frames_total", "Frames written to the journal", () => log().frames);
  counter("tailrace_journal_frame_bytes_total", "Bytes of the frames written to the journal", () => log().frameBytes);
  counter(
    "tailrace_journal_waits_total",
    "Times that appends waited until the oldest file of the ring was free",
    () => log().ringWaits,
  );
  gauge(
    "tailrace_journal_used_bytes",
    "Bytes of the journal's ring that hold what is needed",
    () => log().ringBytesUsed,
  );
  gauge("tailrace_journal_max_bytes", "Bytes that the journal's ring has at most", () => log().ringBytesMax);
  counter("tailrace_log_flushes_total", "Writes to segments", () => log().flushes);
  counter("tailrace_log_flush_bytes_total", "Bytes written to segments", () => log().flushBytes);
  counter(
    "tailrace_log_direct_bytes_total",
    "Bytes of batches written to segments without being journaled",
    () => log().directBytes,
  );
  counter("tailrace_log_appended_batches_total", "Durable batches, control batches too", () => log().appendedBatches);
  counter("tailrace_log_appended_bytes_total", "Bytes of durable batches, headers included", () => log().appendedBytes);
  gauge("tailrace_log_waiting_bytes", "Bytes of appends that wait to be written", () => log().gatheredBytes);
  gauge("tailrace_log_tail_bytes", "Bytes of batches that only the journal holds", () => log().tailBytes);
  gauge("tailrace_streams", "Streams of this node", () => streams.count());
  gauge("tailrace_streams_max", "Most streams that this node takes", () => streams.max);
  gauge("tailrace_stored_bytes", "Bytes of all streams together, as they are stored", () => streams.storedBytes());
  const maxHelp = "The limit stored_max_bytes, at which appends are refused; 0: there is none";
  gauge("tailrace_stored_max_bytes", maxHelp, () => streams.storedMaxBytes);
}
