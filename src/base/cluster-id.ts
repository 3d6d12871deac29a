/**
 * The name of a cluster: a UUID of version 7 (RFC 9562, section 5.7), as 32 hexadecimal digits. It begins with the time at
 * which it was made, so that all who begin the cluster take the same time from it.
 * @module
 */

/** A new one. @param bytes 16 random ones. */
export function newClusterId(nowMicros: number, bytes: Uint8Array): string {
  const digits = [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const time = Math.floor(nowMicros / 1000)
    .toString(16)
    .padStart(timeDigits, "0");
  const variant = ((Number.parseInt(digits.charAt(16), 16) & 0b11) | 0b1000).toString(16);
  return `${time}7${digits.slice(13, 16)}${variant}${digits.slice(17)}`;
}

/** When it was made, microseconds since 1970, whole milliseconds. */
export function clusterTimeMicros(clusterId: string): number {
  return Number.parseInt(clusterId.slice(0, timeDigits), 16) * 1000;
}

const timeDigits = 12;
