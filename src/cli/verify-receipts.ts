/**
 * `tailrace verify STREAM --receipt FILE`: whether what was acknowledged is what a node has.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { type TailraceClient, toRequestError } from "../client/index.ts";
import { Form, PositionSchema, TailEndReason } from "../wire/gen/tailrace/v1/log_pb.ts";
import type { Batch } from "../wire/gen/tailrace/v1/record_pb.ts";
import { fromPosition, toPosition } from "../wire/position.ts";
import { connectTo } from "./connection.ts";
import { DigestChain } from "./digest-chain.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { standardOutput } from "./output.ts";
import { type Receipt, readReceipts } from "./receipts.ts";
import { exitOnSignals } from "./stop-signal.ts";
import { formatCount } from "./units.ts";

export interface VerifyReceiptsOptions {
  readonly server: string;
  readonly receipt: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What became of a receipt. */
interface Verdict {
  readonly receipt: Receipt;
  readonly isProven: boolean;
  readonly what: string;
}

/** A stream as the node tells of it. */
interface Served {
  readonly id: number;
  readonly logStart: number;
  readonly highWatermark: number;
  readonly nextIndex: number;
}

/** Runs the command; resolves with the exit code: 0 where all receipts are proven. */
export async function verifyReceipts(stream: string, options: VerifyReceiptsOptions): Promise<number> {
  const receipts = readReceipts(options.receipt);
  exitOnSignals();
  const { client, close } = connectTo(options.server);
  try {
    const verdicts = await judge(client, stream, receipts);
    await tell(stream, verdicts, options);
    return verdicts.every(({ isProven }) => isProven) ? exitCodes.ok : exitCodes.failed;
  } catch (error) {
    throw error instanceof CommandError ? error : toRequestError(error);
  } finally {
    close();
  }
}

async function judge(client: TailraceClient, stream: string, receipts: readonly Receipt[]): Promise<Verdict[]> {
  const served = await describe(client, stream);
  const verdicts: Verdict[] = [];
  const there: Receipt[] = [];
  for (const receipt of receipts) {
    const what = whyNotServed(stream, receipt, served);
    if (what === undefined) there.push(receipt);
    else verdicts.push({ receipt, isProven: false, what });
  }
  if (there.length > 0) verdicts.push(...(await recompute(client, stream, served, there)));
  return verdicts.sort((a, b) => a.receipt.index - b.receipt.index);
}

async function describe(client: TailraceClient, name: string): Promise<Served> {
  const { stream } = await client.streams.getStream({ name });
  if (!stream) throw new CommandError(`the node does not tell of stream ${name}`);
  return {
    id: toPosition(stream.id, "id"),
    logStart: toPosition(stream.logStart, "log_start"),
    highWatermark: toPosition(stream.highWatermark, "high_watermark"),
    nextIndex: toPosition(stream.nextIndex, "next_index"),
  };
}

/** Why a receipt's batch can't be asked for. */
function whyNotServed(stream: string, receipt: Receipt, served: Served): string | undefined {
  const { streamId, index, nextOffset } = receipt;
  if (streamId !== served.id) {
    return `it is of the stream with id ${streamId}; "${stream}" is another one now, with id ${served.id}`;
  }
  if (index >= served.nextIndex || nextOffset > served.highWatermark) {
    return (
      `the log ends before it, at index ${served.nextIndex} and offset ${served.highWatermark}: ` +
      "what was acknowledged is missing, or this node has not got it yet"
    );
  }
  if (nextOffset <= served.logStart) {
    return `its records were trimmed: the stream begins at offset ${served.logStart} now. Nothing says that they were others`;
  }
  return undefined;
}

/** Reads from the first batch that is served to the last receipt's, and compares on the way. */
async function recompute(
  client: TailraceClient,
  stream: string,
  served: Served,
  receipts: readonly Receipt[],
): Promise<Verdict[]> {
  const chain = new DigestChain(served.id);
  const waiting = [...receipts];
  const verdicts: Verdict[] = [];
  const endOffset = Math.max(...receipts.map(({ nextOffset }) => nextOffset));
  for await (const batch of storedBatches(client, stream, served, endOffset)) {
    const why = chain.add(batch);
    if (why !== undefined) return [...verdicts, ...waiting.map((receipt) => ({ receipt, isProven: false, what: why }))];
    for (let next = waiting[0]; next && chain.last && next.index <= chain.last.index; next = waiting[0]) {
      verdicts.push(compare(next, chain));
      waiting.shift();
    }
  }
  const absent = waiting.map((receipt) => {
    const what = `the log differs: there is no batch ${receipt.index} below offset ${receipt.nextOffset}`;
    return { receipt, isProven: false, what };
  });
  return [...verdicts, ...absent];
}

function compare(receipt: Receipt, { last, firstIndex }: DigestChain): Verdict {
  const { index, nextOffset, digest } = receipt;
  if (last === undefined || last.index !== index) {
    return { receipt, isProven: false, what: `its batch is not served: the first that is has index ${last?.index}` };
  }
  const differs = last.nextOffset !== nextOffset;
  if (differs || !Buffer.from(last.digest).equals(digest)) {
    const there = `offset ${last.nextOffset} and digest ${hex(last.digest)}`;
    const what = `the log differs: batch ${index} ends with ${there}, and the receipt says ${nextOffset} and ${hex(digest)}`;
    return { receipt, isProven: false, what };
  }
  if (firstIndex === undefined || firstIndex > index) {
    const what = "its digest is there, and can't be recomputed: the batch before it is not served any more";
    return { receipt, isProven: false, what };
  }
  const from = firstIndex === 0 ? "" : `, from the digest that batch ${firstIndex - 1} left`;
  return { receipt, isProven: true, what: `batches ${firstIndex} to ${index} recomputed${from}: the digest is equal` };
}

/** All batches below an offset from the first that is served on, control batches too. */
async function* storedBatches(
  client: TailraceClient,
  stream: string,
  { id, logStart }: Served,
  endOffset: number,
): AsyncGenerator<Batch> {
  const start = create(PositionSchema, { at: { case: "offset", value: fromPosition(logStart) } });
  const follow = { stream, start, streamId: fromPosition(id), endOffset: fromPosition(endOffset) };
  for await (const { frame } of client.log.tail({ streams: [follow], form: Form.STORED })) {
    if (frame.case === "batch") yield frame.value;
    if (frame.case !== "end") continue;
    if (frame.value.reason === TailEndReason.REACHED_END) return;
    throw new CommandError("the node ended the reading before its end. Try again.", exitCodes.unreachable);
  }
}

async function tell(stream: string, verdicts: readonly Verdict[], options: VerifyReceiptsOptions): Promise<void> {
  const shown = options.quiet ? verdicts.filter(({ isProven }) => !isProven) : verdicts;
  const lines = shown.map(({ receipt, isProven, what }) => {
    const { streamId, index, nextOffset, digest } = receipt;
    if (options.json) {
      return JSON.stringify({ stream, streamId, index, nextOffset, digest: hex(digest), proven: isProven, what });
    }
    return `${isProven ? "proven:" : "not proven:"} batch ${formatCount(index)} of ${stream}, up to offset ${nextOffset}: ${what}`;
  });
  if (lines.length > 0) await standardOutput().write(`${lines.join("\n")}\n`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
