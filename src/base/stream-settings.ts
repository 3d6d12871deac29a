/**
 * Settings of a stream as all layers speak of them.
 * @module
 */

/** Settings of a stream, all filled. Bytes, seconds or a count, as the name ends. */
export interface StreamSettings {
  /** A segment ends at this many bytes: 1 MiB to 1 GiB. */
  readonly segmentMaxBytes: number;
  /** A segment ends at this age: 60 to 31,622,400. */
  readonly segmentMaxAgeS: number;
  /** The oldest segments go while those that stay have this many bytes; 0: they stay. */
  readonly retentionBytes: number;
  /** A segment goes when its newest record is older than this; 0: it stays. */
  readonly retentionAgeS: number;
  /** Largest record; 0: as large as the node takes. */
  readonly recordMaxBytes: number;
  /** Largest payload of a batch; 0: as large as the node takes. */
  readonly batchMaxBytes: number;
  /** On how many nodes it is kept; 0: three. Where the cluster has fewer voters, on all of them. */
  readonly replicationFactor: number;
}

/** Settings and which of their changes they are. */
export interface VersionedSettings extends StreamSettings {
  /** Counts changes; 1 at creation. */
  readonly version: number;
}

/** A setting's name as users see it: `segmentMaxBytes` is `segment_max_bytes`. */
export function settingName(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
