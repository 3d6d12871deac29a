/**
 * A producer as the command line names it.
 * @module
 */
import crypto from "node:crypto";
import { InvalidArgumentError } from "commander";

/**
 * A producer's id: a UUID or 32 hexadecimal digits as they are, the first 16 bytes of the SHA-256 of any other text.
 * @throws {InvalidArgumentError}
 */
export function parseProducerId(text: string): Uint8Array {
  if (text === "") throw new InvalidArgumentError("Give a UUID, 32 hexadecimal digits, or any text.");
  const isHex = /^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(text);
  if (!isHex) return new Uint8Array(crypto.createHash("sha256").update(text).digest().subarray(0, 16));
  const id = new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
  if (id.every((byte) => byte === 0)) throw new InvalidArgumentError("Give one that is not all zeros.");
  return id;
}
