/**
 * What other nodes ask of this one on the peer port: sessions of those that follow here, calls, and ranges of batches.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { Hello } from "../../raft/inputs.ts";
import type { LeaderMessage, NodeId } from "../../raft/types.ts";
import type { RaftDriver } from "../../replica/raft-driver.ts";
import {
  type PeerService,
  type SessionRequest,
  type SessionResponse,
  SessionResponseSchema,
} from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { asLeader, confirmed } from "./confirm.ts";
import { leaderMessage, readCall, readFollowerMessage, readHello } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { isStrange } from "./strange.ts";

/** Whose port it is. */
export interface PeerServiceOptions {
  readonly clusterId: string;
  readonly strange: (node: NodeId, error: unknown) => void;
  /** Ends a log for good. @throws {NotLeaderError} It is not led here. */
  readonly endLog: (group: number) => Promise<void>;
}

/** Bytes of batches that wait to be sent in one session: the core's credit keeps them fewer, unless the other side takes nothing. */
const outboxMaxBytes = 64 << 20;
const rangeMaxBytes = 8 << 20;

interface Session {
  readonly hello: Hello;
  readonly outbox: Outbox<LeaderMessage>;
}

/** Sessions that others opened. */
export class PeerSessions {
  readonly #options: PeerServiceOptions;
  readonly #driver: () => RaftDriver;
  readonly #sessions = new Set<Session>();

  constructor(options: PeerServiceOptions, driver: () => RaftDriver) {
    this.#options = options;
    this.#driver = driver;
  }

  /** What the peer port serves. */
  get service(): Pick<ServiceImpl<typeof PeerService>, "session" | "call" | "range" | "confirm" | "close"> {
    return {
      session: (requests, context) => this.#serve(requests, context),
      call: ({ clusterId, nodeId, calls }) => {
        this.#checkCluster(clusterId, nodeId);
        this.#driver().called(nodeId, calls.map(readCall));
        return {};
      },
      range: async ({ clusterId, group, from, maxBytes }) => {
        this.#checkCluster(clusterId, "");
        const most = Math.min(toPosition(maxBytes, "max_bytes"), rangeMaxBytes);
        const range = await this.#driver().range(toPosition(group, "group"), toPosition(from, "from"), most);
        return { batches: range.batches, baseIndex: fromPosition(range.baseIndex) };
      },
      confirm: async ({ clusterId, group }) => {
        this.#checkCluster(clusterId, "");
        return { index: fromPosition(await confirmed(this.#driver().group(toPosition(group, "group")))) };
      },
      close: async ({ clusterId, group }) => {
        this.#checkCluster(clusterId, "");
        await asLeader(() => this.#options.endLog(toPosition(group, "group")));
        return {};
      },
    };
  }

  /** Says something in a session, if that is still there. */
  say(hello: Hello, messages: readonly LeaderMessage[]): void {
    const session = this.#find(hello);
    if (!session) return;
    for (const message of messages) {
      if (message.kind !== "batches") session.outbox.add([message]);
      else
        session.outbox.addLarge(
          message,
          message.batches.reduce((sum, { bytes }) => sum + bytes.length, 0),
        );
    }
  }

  /** Ends a session. */
  end(hello: Hello): void {
    this.#find(hello)?.outbox.end();
  }

  /** Ends all. */
  close(): void {
    for (const { outbox } of this.#sessions) outbox.end();
  }

  #find(hello: Hello): Session | undefined {
    for (const session of this.#sessions) if (session.hello === hello) return session;
    return undefined;
  }

  async *#serve(requests: AsyncIterable<SessionRequest>, context: HandlerContext): AsyncGenerator<SessionResponse> {
    const incoming = requests[Symbol.asyncIterator]();
    const first = await incoming.next();
    const greeting = first.done ? undefined : first.value.hello;
    if (!greeting) throw new ConnectError("A session begins with a greeting", Code.InvalidArgument);
    this.#checkCluster(greeting.clusterId, greeting.nodeId);
    const hello = readHello(greeting);
    const driver = this.#driver();
    // One that takes nothing may hold up what follows here for as long as its connection is there: the core hears at once.
    const end = () => {
      session.outbox.end();
      this.#sessions.delete(session);
      driver.ended(hello);
    };
    const session: Session = { hello, outbox: new Outbox(outboxMaxBytes, end) };
    this.#sessions.add(session);
    context.signal.addEventListener("abort", end, { once: true });
    driver.accepted(hello);
    void this.#read(session, incoming, driver).finally(end);
    try {
      yield create(SessionResponseSchema, {});
      for await (const messages of session.outbox) {
        yield create(SessionResponseSchema, { messages: messages.map(leaderMessage) });
      }
    } finally {
      end();
    }
  }

  /** Reads on, whatever is sent meanwhile. */
  async #read({ hello }: Session, incoming: AsyncIterator<SessionRequest>, driver: RaftDriver): Promise<void> {
    try {
      for (let next = await incoming.next(); !next.done; next = await incoming.next()) {
        driver.fromFollower(hello, next.value.messages.map(readFollowerMessage));
      }
    } catch (error) {
      if (isStrange(error)) this.#options.strange(hello.from, error);
    }
  }

  #checkCluster(clusterId: string, node: NodeId): void {
    if (clusterId === this.#options.clusterId) return;
    const error = new ConnectError(
      `This node is of cluster ${this.#options.clusterId}, not ${clusterId}`,
      Code.FailedPrecondition,
    );
    this.#options.strange(node, error);
    throw error;
  }
}
