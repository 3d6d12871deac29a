/**
 * The ways of a series of appends to who leads its stream: the log here, or one call to another node.
 * @module
 */
import { failureHere, failureThere, type LeaderRoute, type RouteHome } from "./leader-route.ts";
import type { LogStream } from "./log-stream.ts";
import { LostError, UnreachableError } from "./peers.ts";
import { type Asked, fateUnknown, noLeader } from "./routed-refusals.ts";
import type { SeriesWay } from "./routed-series.ts";
import type { AppendOptions, AppendSeries } from "./types.ts";

/** The way to the log here. */
export function wayHere(local: LogStream, route: LeaderRoute, asked: Asked): SeriesWay {
  const series: AppendSeries = { isBroken: false };
  return {
    get isCurrent() {
      return route.isHere && !series.isBroken;
    },
    append: (payload, options) => route.here({ here: () => local.append(payload, { ...options, series }) }),
    failure: (error) => failureHere(error).kind,
    explain: (error) => route.explain(asked, error),
    end() {},
  };
}

/** The way to another node. */
export function wayThere(home: RouteHome, node: string, local: LogStream, route: LeaderRoute, asked: Asked): SeriesWay {
  const series = home.peers.openSeries(node, { name: local.name, id: local.id });
  /** What is on its way and may not be sent twice. */
  let single = 0;
  let onTheirWay = 0;
  let stop: (() => void) | undefined;
  // What may be sent twice need not wait for an answer that may never come: another leads by now.
  const isInVain = () =>
    single === 0 && onTheirWay > 0 && route.elsewhere !== node && (route.isHere || route.elsewhere !== undefined);
  return {
    get isCurrent() {
      return series.isOpen && route.elsewhere === node;
    },
    async append(payload: Uint8Array, options: AppendOptions) {
      const mayRepeat = options.producer !== undefined;
      if (onTheirWay === 0) stop = home.polls.watch(isInVain, () => series.abandon());
      onTheirWay += 1;
      if (!mayRepeat) single += 1;
      try {
        return await series.append(payload, options);
      } finally {
        onTheirWay -= 1;
        if (!mayRepeat) single -= 1;
        if (onTheirWay === 0) stop?.();
      }
    },
    failure: (error) => failureThere(error).kind,
    explain(error) {
      if (error instanceof LostError) return fateUnknown(asked);
      return error instanceof UnreachableError ? noLeader(asked, home.limits) : error;
    },
    end: () => series.end(),
  };
}
