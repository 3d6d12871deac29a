import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { invalidField } from "../base/errors.ts";

/** Microseconds since 1970 as a protobuf Timestamp. */
export function fromMicros(micros: number): Timestamp {
  const seconds = Math.floor(micros / 1e6);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: (micros - seconds * 1e6) * 1000 });
}

/**
 * A protobuf Timestamp as microseconds since 1970, rounded up: no batch before the time asked for is ever meant.
 * @throws {TailraceError} `invalid_field`, naming `field`, outside of protobuf's years 0001 to 9999.
 */
export function toMicros(time: Timestamp, field: string): number {
  const seconds = Number(time.seconds);
  const inRange = seconds >= -62135596800 && seconds <= 253402300799 && time.nanos >= 0 && time.nanos < 1e9;
  if (!inRange) throw invalidField(field, "it is not a valid timestamp", "Use a time from year 1 to year 9999");
  return seconds * 1e6 + Math.ceil(time.nanos / 1000);
}
