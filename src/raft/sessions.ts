/**
 * The sessions of one node: one to each node that it follows, and one of each that follows here, whatever the number of
 * groups. Liveness is the session's.
 * @module
 */
import type { Hello } from "./inputs.ts";
import type { SessionRoom } from "./session-room.ts";
import type { FollowerMessage, LeaderMessage, NodeId, RaftSettings } from "./types.ts";

/** A session to a node that is followed. */
export interface Outgoing {
  readonly node: NodeId;
  /** Each new one has a greater number. */
  number: number;
  state: "closed" | "opening" | "open";
  /** Groups that follow there, or want to. */
  readonly groups: Set<number>;
  heardAtMs: number;
  /** Nothing heard for so long: who is followed there is looked for elsewhere. */
  timeoutMs: number;
  /** When it is opened again. */
  reopenAtMs: number;
  /** Times that it could not be opened, one after the other. */
  failures: number;
  /** The newest of the own echoes that the other side has heard, and since when. */
  echoed: number;
  echoedAtMs: number;
  /** What goes out at the end of the step. */
  queue: FollowerMessage[];
}

/** A session of a node that follows here. */
export interface Incoming {
  readonly hello: Hello;
  /** Groups whose fetch stands: changed in the order in which its messages are read. */
  readonly groups: Set<number>;
  heardAtMs: number;
  echoed: number;
  isSilent: boolean;
  readonly room: SessionRoom;
  queue: LeaderMessage[];
}

/** Whether a session comes after another of the same node: it ends the other, with all that it registered. */
export function isLater(hello: Hello, than: Hello): boolean {
  // Another disk under the same name: who came last is there.
  if (hello.disk !== than.disk) return true;
  if (hello.incarnation !== than.incarnation) return hello.incarnation > than.incarnation;
  return hello.number > than.number;
}

/** Whether two name one session. */
export function isSameSession(a: Hello, b: Hello): boolean {
  return a.disk === b.disk && a.incarnation === b.incarnation && a.number === b.number;
}

/** When a session has something to do by the clock. */
export function outgoingDueMs(session: Outgoing, { electionMaxMs }: RaftSettings): number {
  const { groups, state, heardAtMs, timeoutMs, reopenAtMs, echoedAtMs } = session;
  if (groups.size === 0) return Number.POSITIVE_INFINITY;
  const silentAtMs = heardAtMs + timeoutMs;
  switch (state) {
    case "closed":
      return Math.min(silentAtMs, reopenAtMs);
    case "opening":
      return silentAtMs;
    case "open":
      return Math.min(silentAtMs, echoedAtMs + electionMaxMs + timeoutMs);
  }
}

/** A session that is not open yet. */
export function outgoingTo(node: NodeId, nowMs: number, timeoutMs: number): Outgoing {
  return {
    ...{ node, number: 0, state: "closed", groups: new Set(), heardAtMs: nowMs, timeoutMs, reopenAtMs: nowMs },
    ...{ failures: 0, echoed: 0, echoedAtMs: nowMs, queue: [] },
  };
}

/** How long after a session broke, or could not be opened, it is opened again: at once, then less and less often. */
export function reopenDelayMs(failures: number, settings: RaftSettings): number {
  if (failures === 0) return 0;
  return Math.min(settings.beatMs * 2 ** (failures - 1), settings.electionMinMs);
}
