/**
 * Numbers as people read and write them.
 * @module
 */

/** `1234567` as `1,234,567`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 record`, `2 records`. */
export function formatRecords(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "record" : "records"}`;
}

/** `20.1 MB`; thousands, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Seconds: `0.02 s`, `75 s`. */
export function formatSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0)} s`;
}

/** Roughly: `12 s`, `5 min`, `3 h`, `2 d`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(milliseconds, 0) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

const unitBytes: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["tib", 2 ** 40],
]);

/** `64MiB`, `1GB`, `1048576` as bytes; undefined when it is nothing of the kind. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d+)\s*([a-z]*)$/i.exec(text) ?? [];
  const scale = unitBytes.get(unit.toLowerCase());
  return digits === undefined || scale === undefined ? undefined : Number(digits) * scale;
}

const unitMilliseconds: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1e3],
  ["m", 60e3],
  ["h", 3600e3],
  ["d", 86400e3],
  ["w", 7 * 86400e3],
]);

/** `90s`, `10m`, `2h`, `7d` as milliseconds; undefined when it is nothing of the kind. */
export function parseDurationMs(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d+)\s*([a-z]+)$/i.exec(text) ?? [];
  const scale = unitMilliseconds.get(unit.toLowerCase());
  return digits === undefined || scale === undefined ? undefined : Number(digits) * scale;
}
