/**
 * Every limit of a node that a client can meet, by the name that a refusal gives.
 * @module
 */

/** Limits of one node. Bytes, milliseconds or counts, as the name ends. */
export interface Limits {
  /** Largest payload of a batch. */
  readonly batchMaxBytes: number;
  /** Largest record: key, value, headers and time, encoded. */
  readonly recordMaxBytes: number;
  /** Most records in a batch. */
  readonly batchMaxRecords: number;
  /** Most headers of a record. */
  readonly recordMaxHeaders: number;
  /** Most bytes of stored batches in one answer; a larger first batch is given alone. */
  readonly readMaxBytes: number;
  /** Longest wait of a read for a first record. */
  readonly readMaxWaitMs: number;
  /** Most streams that one tail follows. */
  readonly tailMaxStreams: number;
  /** Longest silence of a tail. */
  readonly tailHeartbeatMs: number;
  /** Largest body of a request, on the wire and decompressed. */
  readonly requestMaxBytes: number;
  /** Most streams of a node. */
  readonly streamsMax: number;
  /** Most streams that one client creates in a second; 0: no limit. */
  readonly streamCreationsMaxPerS: number;
  /** Most bytes of all streams together, as they are stored; 0: no limit. */
  readonly storedMaxBytes: number;
  /** Most bytes of appends that wait to be written, whole node. */
  readonly appendQueueMaxBytes: number;
  /** Most requests of one append stream that are taken and not yet answered. */
  readonly appendStreamMaxInFlight: number;
  /** Longest wait of a request for a node that leads its stream. */
  readonly leaderMaxWaitMs: number;
  /** Longest wait for another node's answer to a request that was passed on. */
  readonly forwardMaxMs: number;
}

/** What a node starts with. */
export const defaultLimits: Limits = {
  batchMaxBytes: 4 << 20,
  recordMaxBytes: 1 << 20,
  batchMaxRecords: 10_000,
  recordMaxHeaders: 100,
  readMaxBytes: 4 << 20,
  readMaxWaitMs: 30_000,
  tailMaxStreams: 100,
  tailHeartbeatMs: 5_000,
  requestMaxBytes: (8 << 20) + (64 << 10),
  streamsMax: 10_000,
  streamCreationsMaxPerS: 100,
  storedMaxBytes: 0,
  appendQueueMaxBytes: 256 << 20,
  appendStreamMaxInFlight: 64,
  leaderMaxWaitMs: 5_000,
  forwardMaxMs: 10_000,
};

/** Limits that a node can be without. */
export const optionalLimits: readonly (keyof Limits)[] = ["streamCreationsMaxPerS", "storedMaxBytes"];

/** The name of a limit as users see it: `batchMaxBytes` is `batch_max_bytes`. */
export function limitName(limit: keyof Limits): string {
  return limit.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
