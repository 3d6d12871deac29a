/**
 * What another node refused, as if it had been refused here; and what is known when it gave no answer.
 * @module
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorFacts, type Reason, TailraceError } from "../../base/errors.ts";
import type { VersionedSettings } from "../../base/stream-settings.ts";
import { LostError, UnreachableError } from "../../stream/peers.ts";
import { builtInSettings } from "../../stream/settings.ts";
import { type ErrorDetail, Fate, type Reason as WireReason } from "../../wire/gen/tailrace/v1/error_pb.ts";
import { toPosition } from "../../wire/position.ts";
import { detailOf, reasons } from "../api/errors.ts";
import { givenSettings } from "../api/settings-message.ts";

const reasonsByNumber = new Map<WireReason, Reason>(
  Object.entries(reasons).flatMap(([name, number]) => (isReason(name) ? [[number, name] as const] : [])),
);

/**
 * What the failure of a call to another node means.
 * @param neverLeft Whether an error of the transport says that nothing of the request has left.
 */
export function forwardedError(error: unknown, neverLeft: (error: unknown) => boolean): unknown {
  const failure = ConnectError.from(error);
  const detail = detailOf(failure);
  if (detail === undefined) {
    return neverLeft(failure.cause ?? error)
      ? new UnreachableError(failure.rawMessage)
      : new LostError(failure.rawMessage);
  }
  const reason = reasonsByNumber.get(detail.reason);
  if (reason !== undefined) return refusalOf(reason, failure.rawMessage, detail);
  // Its time was over there, or a fault of the node: what it says of the fate holds.
  const isOver = failure.code === Code.DeadlineExceeded || failure.code === Code.Canceled;
  return isOver || detail.fate === Fate.UNKNOWN ? new LostError(failure.rawMessage) : failure;
}

function isReason(name: string): name is Reason {
  return Object.hasOwn(reasons, name);
}

function refusalOf(reason: Reason, message: string, detail: ErrorDetail): TailraceError {
  const [what = "", ...rest] = message.split(": ");
  return new TailraceError(reason, { what, why: rest.join(": "), todo: detail.todo }, factsOf(detail));
}

function factsOf(detail: ErrorDetail): ErrorFacts {
  const { stream, streamId, logStart, nextOffset, field, limit, retryAfterMs, leader, fate, producer, fence } = detail;
  return {
    ...(stream === "" ? {} : { stream }),
    ...(streamId === undefined ? {} : { streamId: toPosition(streamId, "stream_id") }),
    ...(logStart === undefined ? {} : { logStart: toPosition(logStart, "log_start") }),
    ...(nextOffset === undefined ? {} : { nextOffset: toPosition(nextOffset, "next_offset") }),
    ...(field === "" ? {} : { field }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(leader === undefined ? {} : { leader: { nodeId: leader.nodeId, url: leader.url } }),
    ...(fence === undefined ? {} : { fence }),
    ...(producer === undefined
      ? {}
      : { producer: { ...producer, sequence: toPosition(producer.sequence, "producer.sequence") } }),
    ...(limit === undefined
      ? {}
      : {
          limit: {
            name: limit.name,
            value: Number(limit.value),
            ...(limit.actual === undefined ? {} : { actual: Number(limit.actual) }),
          },
        }),
    ...settingsOf(detail),
    ...fateOf(fate),
  };
}

function settingsOf({ settings, settingsVersion }: ErrorDetail): { settings?: VersionedSettings } {
  if (settings === undefined || settingsVersion === undefined) return {};
  const version = toPosition(settingsVersion, "settings_version");
  return { settings: { ...builtInSettings, ...givenSettings(settings), version } };
}

function fateOf(fate: Fate): Pick<ErrorFacts, "fate"> {
  if (fate === Fate.UNSPECIFIED) return {};
  return { fate: fate === Fate.NOTHING_WRITTEN ? "nothing_written" : "unknown" };
}
