/**
 * Where bigint becomes number. Offsets, indexes and ids are numbers below 2^53 inside, uint64 on the wire.
 * @module
 */
import { invalidField } from "../base/errors.ts";

/** Positions are below this: 2^53. JSON parsers round larger ones, so they are refused and never guessed. */
export const positionLimit = 2 ** 53;

/**
 * A position that came over the wire.
 * @throws {TailraceError} `invalid_field` at or above 2^53, naming `field`.
 */
export function toPosition(value: bigint, field: string): number {
  if (value < 0n || value >= BigInt(positionLimit)) {
    throw invalidField(field, `${value} is not below 2^53`, "Positions are whole numbers from 0 to 2^53 - 1");
  }
  return Number(value);
}

/** A position as it goes over the wire. */
export function fromPosition(value: number): bigint {
  return BigInt(value);
}
