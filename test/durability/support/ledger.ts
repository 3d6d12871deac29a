/**
 * What must be in the logs of a process that was killed, by what it had said; and whether it is.
 * The bytes are checked by the page of their format alone (docs/format.md): it shares no code with the log.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { payloadOf, recordsOf } from "./payloads.ts";
import type { FoundGroup, Said } from "./said.ts";

const headerBytes = 128;
const [digestAt, digestBytes] = [96, 32];
const kinds = { records: 0, checkpoint: 1, leaderChange: 2 };

/** A batch that the process acknowledged, or that was there after a start: it must stay. */
interface Kept {
  readonly serial: number;
  /** Of the digest as many hexadecimal digits as were said. */
  readonly digest: string;
}

/** A change that was begun and is not over: the log is as before it, or as after. */
interface Pending {
  readonly change: "cut" | "install" | "trim" | "remove" | "make";
  readonly index: number;
}

interface Group {
  /** By index; checkpoints that the log put between them are not told of. */
  kept: Map<number, Kept>;
  baseIndex: number;
  term: number;
  /** Serials that were refused, cut off, or went with a log that another replaced: none may be there. */
  readonly gone: Set<number>;
  pending: Pending | undefined;
}

interface Batch {
  readonly kind: number;
  readonly index: number;
  readonly digest: string;
  /** None: a checkpoint. */
  readonly serial: number | undefined;
}

/** Keeps what was said, and compares it with what is found. */
export class Ledger {
  readonly #groups = new Map<number, Group>();
  /** Groups that were deleted. */
  readonly #removed = new Set<number>();
  /** How many batches were acknowledged in all. */
  acknowledged = 0;

  take(said: Said): void {
    switch (said[0]) {
      case "making":
        this.#groups.set(said[1], {
          ...{ kept: new Map(), baseIndex: 0, term: 0, gone: new Set() },
          pending: { change: "make", index: 0 },
        });
        return;
      case "made":
        this.#of(said[1]).pending = undefined;
        return;
      case "acked": {
        const [, group, index, serial, digest] = said;
        this.#of(group).kept.set(index, { serial, digest });
        this.acknowledged += 1;
        return;
      }
      case "refused":
        this.#of(said[1]).gone.add(said[2]);
        return;
      case "unchanged": {
        const group = this.#of(said[1]);
        if (group.pending?.change === "make") this.#groups.delete(said[1]);
        group.pending = undefined;
        return;
      }
      case "voted":
        this.#of(said[1]).term = said[2];
        return;
      case "removing":
        this.#of(said[1]).pending = { change: "remove", index: 0 };
        return;
      case "removed":
        this.#remove(said[1]);
        return;
      case "cutting":
        this.#of(said[1]).pending = { change: "cut", index: said[2] };
        return;
      case "trimming":
        this.#of(said[1]).pending = { change: "trim", index: said[2] };
        return;
      case "installing":
        this.#of(said[1]).pending = { change: "install", index: said[2] };
        return;
      case "cut":
      case "trimmed":
      case "installed": {
        const group = this.#of(said[1]);
        this.#settle(group);
        return;
      }
      default:
        return;
    }
  }

  /** Compares; what is there beyond what was acknowledged must stay from now on. */
  check(found: readonly FoundGroup[], dump: Uint8Array): void {
    let at = 0;
    const there = new Set<number>();
    for (const { group, baseIndex, bytes, term, damage } of found) {
      there.add(group);
      assert.equal(damage, undefined, `group ${group} is called damaged`);
      assert.ok(!this.#removed.has(group), `group ${group} was deleted, and is back`);
      const known = this.#groups.get(group);
      assert.ok(known, `group ${group} was never made`);
      const batches = readBatches(group, baseIndex, dump.subarray(at, at + bytes));
      at += bytes;
      this.#compare(group, known, { baseIndex, term, batches });
    }
    for (const [group, known] of [...this.#groups]) {
      if (there.has(group)) continue;
      const { pending } = known;
      if (pending?.change === "remove") this.#remove(group);
      else if (pending?.change === "make" && known.kept.size === 0) this.#groups.delete(group);
      else assert.fail(`group ${group} is gone`);
    }
    assert.equal(at, dump.length);
  }

  #of(group: number): Group {
    const known = this.#groups.get(group);
    assert.ok(known, `group ${group} was never made`);
    return known;
  }

  #remove(group: number): void {
    this.#groups.delete(group);
    this.#removed.add(group);
  }

  /** The change that is pending is made. */
  #settle(group: Group): void {
    const { pending } = group;
    group.pending = undefined;
    if (pending?.change === "trim") {
      group.baseIndex = pending.index;
      for (const index of group.kept.keys()) if (index < pending.index) group.kept.delete(index);
      return;
    }
    const isGone = (index: number) =>
      pending?.change === "install" || (pending?.change === "cut" && index >= pending.index);
    for (const [index, { serial }] of group.kept) {
      if (!isGone(index)) continue;
      group.kept.delete(index);
      group.gone.add(serial);
    }
    if (pending?.change === "install") group.baseIndex = pending.index;
  }

  #compare(number: number, known: Group, found: { baseIndex: number; term: number; batches: readonly Batch[] }): void {
    const { baseIndex, term, batches } = found;
    if (known.pending && this.#isMade(known, known.pending, found)) this.#settle(known);
    known.pending = undefined;
    assert.equal(baseIndex, known.baseIndex, `group ${number} begins elsewhere`);
    assert.ok(term >= known.term, `group ${number}: the vote in term ${known.term} is forgotten`);
    known.term = term;
    let lastSerial = -1;
    const left = new Set(known.kept.keys());
    for (const { index, serial, digest } of batches) {
      const kept = known.kept.get(index);
      left.delete(index);
      if (kept) {
        assert.equal(serial, kept.serial, `group ${number}: batch ${index} is another`);
        assert.equal(digest.slice(0, kept.digest.length), kept.digest, `group ${number}: digest of batch ${index}`);
      }
      if (serial === undefined) continue;
      assert.ok(
        !known.gone.has(serial),
        `group ${number}: batch ${index} with serial ${serial} was refused or cut off, and is there`,
      );
      assert.ok(serial > lastSerial, `group ${number}: serial ${serial} comes after ${lastSerial}`);
      lastSerial = serial;
      known.kept.set(index, { serial, digest });
    }
    const [missing] = left;
    assert.equal(missing, undefined, `group ${number}: batch ${missing} is gone; it ends at ${batches.at(-1)?.index}`);
  }

  /** Whether a change that was begun has been made. */
  #isMade(known: Group, { change, index }: Pending, found: { baseIndex: number; batches: readonly Batch[] }): boolean {
    if (change === "trim" || change === "install") return found.baseIndex === index;
    if (change !== "cut") return false;
    const { baseIndex, batches } = found;
    return [...known.kept].some(([at, { serial }]) => at >= index && batches[at - baseIndex]?.serial !== serial);
  }
}

/** Reads and checks the batches of a log from its base on. */
function readBatches(group: number, baseIndex: number, dump: Uint8Array): Batch[] {
  // A Buffer's slices would be views.
  const bytes = new Uint8Array(dump.buffer, dump.byteOffset, dump.byteLength);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const batches: Batch[] = [];
  let digest = bytes.slice(headerBytes + 8, headerBytes + 8 + digestBytes);
  let [index, offset, term, time] = [baseIndex, bytes.length > 0 ? u64(32) : 0, 0, 0];
  for (let at = 0; at < bytes.length; ) {
    const where = `group ${group}, batch ${index}`;
    const [payloadBytes, kind] = [view.getUint32(at + 12, true), view.getUint8(at + 7)];
    const end = at + headerBytes + payloadBytes;
    const payload = bytes.subarray(at + headerBytes, end);
    const records = view.getUint32(at + 40, true);
    assert.equal(view.getUint16(at + 4, true), 0x5254, `${where}: magic`);
    assert.equal(view.getUint32(at, true), crc32(bytes.subarray(at + 4, at + headerBytes)), `${where}: header CRC`);
    assert.equal(view.getUint32(at + 92, true), crc32(payload), `${where}: payload CRC`);
    assert.equal(u64(at + 16), group, `${where}: group`);
    assert.equal(u64(at + 24), index, `${where}: index`);
    assert.equal(u64(at + 32), offset, `${where}: offset`);
    assert.ok(u64(at + 48) >= term && u64(at + 56) >= time, `${where}: term and time never go back`);
    const chained = bytes.slice(at + 4, end);
    chained.set(digest, digestAt - 4);
    const expected = createHash("sha256").update(chained).digest();
    assert.ok(expected.equals(bytes.subarray(at + digestAt, at + headerBytes)), `${where}: digest`);
    if (index === baseIndex) assert.equal(kind, kinds.checkpoint, `${where} is the first, and no checkpoint`);
    if (kind === kinds.checkpoint) {
      assert.ok(Buffer.from(payload.subarray(8, 40)).equals(digest), `${where}: digest of the batch before`);
    }
    const serial = kind === kinds.checkpoint ? undefined : Number(view.getBigUint64(at + headerBytes, true));
    if (serial !== undefined) {
      assert.ok(Buffer.from(payload).equals(payloadOf(group, serial, payloadBytes)), `${where}: payload`);
      assert.equal(records, kind === kinds.records ? recordsOf(serial) : 0, `${where}: records`);
    }
    batches.push({ kind, index, serial, digest: expected.toString("hex") });
    [digest, index, offset, term, time] = [expected, index + 1, offset + records, u64(at + 48), u64(at + 56)];
    at = end;
  }
  return batches;
}
