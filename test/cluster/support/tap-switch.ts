/**
 * A switch as a program, which Bun runs: it makes network devices and passes on what hosts send to them, late or not at
 * all. It is there because kernels are built without the part that does this (`tc netem`).
 * Lines of JSON come in: `{"plug": NAME, "number": N}` makes a port; `{"weather": ...}` changes how
 * packets fare; each is answered by a line. Ends with its input.
 * - The last byte of a hardware address is the port's number, as `namespaces.ts` gives them out.
 * - One loop without promises: it waits in `poll` for packets, orders, and the time when the next packet is due.
 * @module
 */

import { dlopen } from "bun:ffi";
import * as fs from "node:fs";
import type { Weather } from "./host.ts";

type Order = { readonly plug: string; readonly number: number } | { readonly weather: Weather };

interface Port {
  readonly number: number;
  readonly file: number;
}

interface Due {
  readonly atMs: number;
  readonly port: Port;
  readonly packet: Uint8Array;
}

const { symbols: libc } = dlopen("libc.so.6", {
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i64" },
  write: { args: ["i32", "ptr", "u64"], returns: "i64" },
});

/** linux/if_tun.h: TUNSETIFF, and IFF_TAP | IFF_NO_PI: whole frames, nothing before them. */
const [setInterface, wholeFrames] = [0x400454ca, 0x1002];
const interfaceRequestBytes = 40;
const nameBytes = 16;
/** poll.h. */
const [pollIn, pollBytes] = [1, 8];
const frameMaxBytes = 65_536;
const [stdin, stdout] = [0, 1];
/** What waits for its time is at most so much; more is lost, as in any switch. */
const queueMax = 20_000;

const ports: Port[] = [];
const queue: Due[] = [];
const frame = new Uint8Array(frameMaxBytes);
let weather: Weather = { delayMs: 0, jitterMs: 0, loss: 0 };
let orders = "";

while (takeOrdersAndFrames()) sendDue();

/** Waits for the next thing to do; false: the test is over. */
function takeOrdersAndFrames(): boolean {
  const files = [stdin, ...ports.map(({ file }) => file)];
  const polled = new DataView(new ArrayBuffer(files.length * pollBytes));
  for (const [i, file] of files.entries()) {
    polled.setInt32(i * pollBytes, file, true);
    polled.setInt16(i * pollBytes + 4, pollIn, true);
  }
  const [next] = queue;
  // Rounded down: a packet may come up to a millisecond early, never late by waiting.
  const waitMs = next === undefined ? -1 : Math.max(0, Math.floor(next.atMs - performance.now()));
  libc.poll(new Uint8Array(polled.buffer), files.length, waitMs);
  const isReady = (i: number) => polled.getInt16(i * pollBytes + 6, true) !== 0;
  for (const [i, port] of ports.entries()) if (isReady(i + 1)) takeFrames(port);
  return !isReady(0) || takeOrders();
}

function takeOrders(): boolean {
  const bytes = Number(libc.read(stdin, frame, frame.length));
  if (bytes <= 0) return false;
  orders += Buffer.from(frame.subarray(0, bytes)).toString();
  const lines = orders.split("\n");
  orders = lines.pop() ?? "";
  for (const line of lines) {
    obey(JSON.parse(line));
    fs.writeSync(stdout, "done\n");
  }
  return true;
}

function obey(order: Order): void {
  if ("weather" in order) {
    weather = order.weather;
    return;
  }
  const file = fs.openSync("/dev/net/tun", fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  const request = Buffer.alloc(interfaceRequestBytes);
  request.write(order.plug);
  request.writeUInt16LE(wholeFrames, nameBytes);
  if (libc.ioctl(file, setInterface, request) < 0) throw new Error(`the system makes no device ${order.plug}`);
  ports.push({ number: order.number, file });
}

function takeFrames(from: Port): void {
  for (;;) {
    const bytes = Number(libc.read(from.file, frame, frame.length));
    if (bytes <= 0) return;
    const isForAll = ((frame[0] ?? 0) & 1) === 1;
    const to = frame[5];
    const packet = frame.slice(0, bytes);
    for (const port of ports) if (port !== from && (isForAll || port.number === to)) take(port, packet);
  }
}

function take(port: Port, packet: Uint8Array): void {
  if (Math.random() < weather.loss || queue.length >= queueMax) return;
  const { delayMs, jitterMs } = weather;
  const due = { atMs: performance.now() + delayMs + Math.random() * jitterMs, port, packet };
  if (delayMs + jitterMs === 0 && queue.length === 0) {
    send(port, packet);
    return;
  }
  // Nearly always at the end.
  let at = queue.length;
  while (at > 0 && (queue[at - 1]?.atMs ?? 0) > due.atMs) at--;
  queue.splice(at, 0, due);
}

function sendDue(): void {
  const nowMs = performance.now();
  for (let [next] = queue; next !== undefined && next.atMs <= nowMs + 1; [next] = queue) {
    queue.shift();
    send(next.port, next.packet);
  }
}

/** A port whose host is gone, or does not keep up, loses it. */
function send({ file }: Port, packet: Uint8Array): void {
  libc.write(file, packet, packet.length);
}
