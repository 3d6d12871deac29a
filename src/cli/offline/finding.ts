/**
 * What a look at a data folder finds.
 * @module
 */

/** Batches that are lost, and the records in them; ends are exclusive. */
export interface Lost {
  readonly firstIndex: number;
  readonly endIndex: number;
  readonly firstOffset: number;
  readonly endOffset: number;
}

/** Something that is not as it would be after a clean stop. */
export interface Finding {
  /**
   * - `damage`: bytes that were synced are not what they were.
   * - `crash`: what an unclean stop leaves; the next start sees to it. Damage to what was written last looks the same.
   * - `note`: harmless.
   */
  readonly kind: "damage" | "crash" | "note";
  /** Path within the data folder. */
  readonly file: string;
  /** First bad byte of that file, or where what is bad begins: a checksum tells of a whole batch or frame. */
  readonly position: number;
  /** The stream's id; absent where it is about no single stream. */
  readonly group?: number;
  readonly what: string;
  /** Absent: nothing, or what is lost can't be known. */
  readonly lost?: Lost;
}

/** What is lost, in words. */
export function lostWords({ firstIndex, endIndex, firstOffset, endOffset }: Lost): string {
  const batches = range("batch", "batches", firstIndex, endIndex);
  const records = endOffset - firstOffset;
  if (records === 0) return `${batches}, no record`;
  return `${batches}, ${range("offset", "offsets", firstOffset, endOffset)} (${records} ${records === 1 ? "record" : "records"})`;
}

function range(one: string, more: string, first: number, end: number): string {
  return end - first === 1 ? `${one} ${first}` : `${more} ${first} to ${end - 1}`;
}
