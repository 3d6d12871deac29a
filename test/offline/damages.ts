/** Each kind of damage, done to a folder, with what is to be told of it. */
import * as fs from "node:fs";
import * as path from "node:path";
import { batchesIn, flip, forge, framesIn, headerBytes, rewrite, segmentsOf, stampGroup } from "./folders.ts";

/** As verify tells what is lost. */
export interface Lost {
  readonly firstIndex: number;
  readonly endIndex: number;
  readonly firstOffset: number;
  readonly endOffset: number;
}

/** What a damage is told as: the file, from where to where its position may be, the stream and what is lost. */
export interface Told {
  readonly file: string;
  readonly from: number;
  readonly to?: number;
  readonly stream?: string;
  readonly lost?: Lost;
  /** Streams that it is told of again, each with what it lost. */
  readonly more?: readonly string[];
}

/** Batches and offsets of the stream "large": in each of its segments a checkpoint, then its records. */
const batch = (index: number, offset: number, count = 1, records = count): Lost => ({
  firstIndex: index,
  endIndex: index + count,
  firstOffset: offset,
  endOffset: offset + records,
});

/** A kind of damage. */
export interface Damage {
  readonly name: string;
  /** Does it; says how it is told. */
  readonly spoil: (data: string, large: number, small: number) => Told;
  readonly says: RegExp;
}

/** Kinds of damage to a folder of `stoppedFolder`. */
export const damages: readonly Damage[] = [
  {
    name: "a bit of a batch's header",
    spoil: (data, large) => {
      const [, second = ""] = segmentsOf(data, large);
      const { position, index } = batchesIn(data, second)[1] ?? { position: 0, index: 0 };
      flip(data, second, position + 20);
      return { file: second, from: position, stream: "large", lost: batch(index, 4) };
    },
    says: /header .* checksum/,
  },
  {
    name: "a bit of a payload",
    spoil: (data, large) => {
      const [first = ""] = segmentsOf(data, large);
      const { position, index } = batchesIn(data, first)[3] ?? { position: 0, index: 0 };
      flip(data, first, position + headerBytes + 1000);
      return { file: first, from: position, stream: "large", lost: batch(index, 1) };
    },
    says: /payload of batch 3 is not what its checksum says/,
  },
  {
    name: "a bit of the newest batch",
    spoil: (data, large) => {
      const last = segmentsOf(data, large).at(-1) ?? "";
      const { position, index, length } = batchesIn(data, last).at(-1) ?? { position: 0, index: 0, length: 0 };
      flip(data, last, position + length - 1);
      return { file: last, from: position, stream: "large", lost: batch(index, 9) };
    },
    says: /payload/,
  },
  {
    name: "the magic of a segment's first batch",
    spoil: (data, large) => {
      const [, second = ""] = segmentsOf(data, large);
      flip(data, second, 4);
      const [{ index } = { index: 0 }] = batchesIn(data, second);
      return { file: second, from: 0, stream: "large", lost: batch(index, 4, 1, 0) };
    },
    says: /no batch begins here/,
  },
  {
    name: "a frame of the journal",
    spoil: (data) => {
      const [, , third] = framesIn(data, "journal/0");
      const { position = 0, length = 0 } = third ?? {};
      flip(data, "journal/0", position + length - 1);
      // It had the first record of _meta: without it what follows there hangs in the air.
      return { file: "journal/0", from: position, more: ["_meta"] };
    },
    says: /is bad, and frame \d+ at \d+ is whole/,
  },
  {
    name: "the journal's file missing",
    spoil: (data) => {
      fs.rmSync(path.join(data, "journal/0"));
      return { file: "journal", from: 0 };
    },
    says: /no whole frame/,
  },
  {
    name: "a bit of the id file",
    spoil: (data) => {
      flip(data, "id", 40);
      return { file: "id", from: 40 };
    },
    says: /a byte is not what it was/,
  },
  {
    name: "an id file of zeros",
    spoil: (data) => {
      fs.writeFileSync(path.join(data, "id"), new Uint8Array(128));
      return { file: "id", from: 0 };
    },
    says: /says who this folder is/,
  },
  {
    name: "a segment missing in the middle",
    spoil: (data, large) => {
      const [, second = ""] = segmentsOf(data, large);
      const batches = batchesIn(data, second);
      fs.rmSync(path.join(data, second));
      const lost = batch(batches[0]?.index ?? 0, 4, batches.length, batches.length - 1);
      return { file: second, from: 0, stream: "large", lost };
    },
    says: /missing/,
  },
  {
    name: "the newest segment missing",
    spoil: (data, large) => {
      const last = segmentsOf(data, large).at(-1) ?? "";
      const batches = batchesIn(data, last);
      fs.rmSync(path.join(data, last));
      const lost = batch(batches[0]?.index ?? 0, 8, batches.length, batches.length - 1);
      return { file: last, from: 0, stream: "large", lost };
    },
    says: /missing/,
  },
  {
    name: "a sealed segment cut within a batch",
    spoil: (data, large) => {
      const [first = ""] = segmentsOf(data, large);
      const { position, index, length } = batchesIn(data, first).at(-1) ?? { position: 0, index: 0, length: 0 };
      fs.truncateSync(path.join(data, first), position + length - 7);
      return { file: first, from: position, stream: "large", lost: batch(index, 3) };
    },
    says: /the file ends within batch/,
  },
  {
    name: "the newest segment cut",
    spoil: (data, large) => {
      const last = segmentsOf(data, large).at(-1) ?? "";
      const { position, index } = batchesIn(data, last).at(-1) ?? { position: 0, index: 0 };
      fs.truncateSync(path.join(data, last), position);
      return { file: last, from: position, stream: "large", lost: batch(index, 9) };
    },
    says: /the file ends here, and \d+ bytes were synced/,
  },
  {
    name: "a segment of another stream in the place of one",
    spoil: (data, large, small) => {
      const [, second = ""] = segmentsOf(data, large);
      const batches = batchesIn(data, second);
      const bytes = fs.readFileSync(path.join(data, second));
      for (const { position, length } of batches) stampGroup(bytes.subarray(position, position + length), small);
      fs.writeFileSync(path.join(data, second), bytes);
      const lost = batch(batches[0]?.index ?? 0, 4, batches.length, batches.length - 1);
      return { file: second, from: 0, stream: "large", lost };
    },
    says: /a batch of stream \d+ stands here/,
  },
  {
    name: "another segment of the stream in the place of one",
    spoil: (data, large) => {
      const [first = "", second = ""] = segmentsOf(data, large);
      const batches = batchesIn(data, second);
      fs.copyFileSync(path.join(data, first), path.join(data, second));
      const lost = batch(batches[0]?.index ?? 0, 4, batches.length, batches.length - 1);
      return { file: second, from: 0, stream: "large", lost };
    },
    says: /batch 0 begins a file that is named for \d+/,
  },
  {
    name: "a batch with other records and right checksums",
    spoil: (data, large) => {
      const [, second = ""] = segmentsOf(data, large);
      const { position, length, index } = batchesIn(data, second)[2] ?? { position: 0, length: 0, index: 0 };
      const bytes = fs.readFileSync(path.join(data, second));
      forge(bytes.subarray(position, position + length));
      fs.writeFileSync(path.join(data, second), bytes);
      return { file: second, from: position, stream: "large", lost: batch(index, 5) };
    },
    says: /digest that does not follow/,
  },
  {
    name: "a newest batch that was written anew, with right checksums and digest",
    spoil: (data, large) => {
      const last = segmentsOf(data, large).at(-1) ?? "";
      const [before, newest] = batchesIn(data, last).slice(-2);
      const bytes = fs.readFileSync(path.join(data, last));
      const digest = bytes.subarray((before?.position ?? 0) + 96, (before?.position ?? 0) + headerBytes);
      rewrite(bytes.subarray(newest?.position), digest);
      fs.writeFileSync(path.join(data, last), bytes);
      return { file: last, from: bytes.length, stream: "large" };
    },
    says: /the journal's mark tells of other batches below \d+/,
  },
  {
    name: "bytes behind a sealed segment",
    spoil: (data, large) => {
      const [first = ""] = segmentsOf(data, large);
      const { size } = fs.statSync(path.join(data, first));
      fs.appendFileSync(path.join(data, first), new Uint8Array(500));
      return { file: first, from: size, stream: "large" };
    },
    says: /no batch begins here/,
  },
];
