/**
 * Where `append` gets its bytes from: files, pipes, standard input.
 * @module
 */
import fs from "node:fs";
import { CommandError } from "./exit.ts";

/** One input. */
export interface LineSource {
  /** As messages name it. */
  readonly name: string;
  /** Bytes in all; absent when it is not known before the end. */
  readonly bytes: number | undefined;
  /** The bytes in order. A chunk is good until the next is asked for. */
  chunks(): AsyncIterable<Uint8Array>;
}

const chunkBytes = 1 << 20;
const standardInput = 0;

/**
 * The inputs that the names stand for; `-`, or no name at all, is standard input.
 * @throws {CommandError} for the first that is not there to be read, so that nothing is appended when a name is wrong.
 */
export function openSources(names: readonly string[]): LineSource[] {
  return (names.length === 0 ? ["-"] : names).map((name) => (name === "-" ? standardSource() : fileSource(name)));
}

function standardSource(): LineSource {
  const name = "standard input";
  const stat = statOf(name, () => fs.fstatSync(standardInput));
  if (!stat.isFile()) return { name, bytes: undefined, chunks: () => process.stdin };
  return { name, bytes: stat.size, chunks: () => chunksOf(name, standardInput) };
}

function fileSource(path: string): LineSource {
  const stat = statOf(path, () => {
    fs.accessSync(path, fs.constants.R_OK);
    return fs.statSync(path);
  });
  if (stat.isDirectory()) throw new CommandError(`cannot read ${path}: it is a folder. Name the files in it.`);
  const bytes = stat.isFile() && stat.size > 0 ? stat.size : undefined;
  return { name: path, bytes, chunks: () => fileChunks(path) };
}

function statOf(name: string, stat: () => fs.Stats): fs.Stats {
  try {
    return stat();
  } catch (error) {
    throw cannotRead(name, error);
  }
}

async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void> {
  const fd = await new Promise<number>((resolve, reject) => {
    fs.open(path, "r", (error, fd) => (error ? reject(cannotRead(path, error)) : resolve(fd)));
  });
  try {
    yield* chunksOf(path, fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Reads the next chunk into one buffer while the last one, in the other, is looked at. */
async function* chunksOf(name: string, fd: number): AsyncGenerator<Uint8Array, void> {
  let buffer = Buffer.allocUnsafeSlow(chunkBytes);
  let other = Buffer.allocUnsafeSlow(chunkBytes);
  let reading = readInto(name, fd, buffer);
  while (true) {
    const bytesRead = await reading;
    if (bytesRead === 0) return;
    const chunk = buffer.subarray(0, bytesRead);
    [buffer, other] = [other, buffer];
    reading = readInto(name, fd, buffer);
    reading.catch(() => {}); // It is thrown where it is awaited.
    yield chunk;
  }
}

function readInto(name: string, fd: number, buffer: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, 0, buffer.length, null, (error, bytesRead) => {
      if (error) reject(cannotRead(name, error));
      else resolve(bytesRead);
    });
  });
}

function cannotRead(name: string, error: unknown): CommandError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known: Record<string, string> = {
    ENOENT: "there is no such file. Check the name",
    EACCES: "this user may not. Ask for the right to read it",
    EISDIR: "it is a folder. Name the files in it",
    ENOTDIR: "a part of its path is not a folder. Check the name",
  };
  return new CommandError(`cannot read ${name}: ${known[code] ?? (code || String(error))}.`);
}
