/**
 * Requests that this node passes on to others: the public API on their peer ports, over connections of their own, so that no
 * client's data stands before what replication says. Each is marked with the name of this node, and goes no further.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { NodeAddress } from "../../base/errors.ts";
import type { StreamSettings } from "../../base/stream-settings.ts";
import type { Clock } from "../../host/clock.ts";
import {
  type Patience,
  type PeerRead,
  type PeerReadAnswer,
  type PeerSeries,
  type Peers,
  type StreamRef,
  UnreachableError,
} from "../../stream/peers.ts";
import { streamReplaced } from "../../stream/refusals.ts";
import { behindCatalogue } from "../../stream/routed-refusals.ts";
import type { AppendAnswer, AppendOptions, StreamDescription } from "../../stream/types.ts";
import { PeerService } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { LogService } from "../../wire/gen/tailrace/v1/log_pb.ts";
import { type Stream as StreamMessage, StreamSchema, StreamService } from "../../wire/gen/tailrace/v1/stream_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { forwardedForHeader, forwardedHeader } from "../api/call.ts";
import { givenSettingsMessage } from "../api/settings-message.ts";
import { appendAnswer, conditions, description, readAnswer, readRequest } from "./forward-messages.ts";
import { ForwardSeries } from "./forward-series.ts";
import { forwardedError } from "./forwarded-errors.ts";
import type { PeerConnection } from "./peer-network.ts";
import { unaryCall } from "./unary-call.ts";

/** What requests are passed on by. */
export interface ForwardOptions {
  readonly clusterId: string;
  /** The name of this node. */
  readonly node: string;
  /** Where a node's peer port is; undefined: not known. */
  readonly addressOf: (node: string) => string | undefined;
  /** Where clients reach a node; empty: not known. */
  readonly apiUrlOf: (node: string) => string;
  /** Makes a connection to an address; it is opened with the first request, and again when it is gone. */
  readonly connect: (address: string) => PeerConnection & { close(): void };
  readonly clock: Clock;
  /** Longest wait for an answer within a series of appends, milliseconds. */
  readonly answerMaxMs: number;
  /** Whether an error of a connection says that nothing of the request has left. */
  readonly neverLeft: (error: unknown) => boolean;
}

/** What another node serves. */
interface PeerClients {
  readonly log: Client<typeof LogService>;
  readonly streams: Client<typeof StreamService>;
  readonly peer: Client<typeof PeerService>;
  readonly connection: PeerConnection & { close(): void };
}

/** Connections that are kept, the least recently used go: nodes come and go with their addresses. */
const connectionsMax = 256;
/** Largest answer: a read's one batch of 8 MiB, with room for the fields beside it. */
const answerMaxBytes = 16 << 20;

export class Forward implements Peers {
  readonly self: string;
  readonly #options: ForwardOptions;
  readonly #clients = new Map<string, PeerClients>();
  #isClosed = false;

  constructor(options: ForwardOptions) {
    this.self = options.node;
    this.#options = options;
  }

  /** Ends all connections, and makes none any more. */
  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#clients.values()) connection.close();
    this.#clients.clear();
  }

  addressOf(nodeId: string): NodeAddress {
    return { nodeId, url: this.#options.apiUrlOf(nodeId) };
  }

  append(
    node: string,
    stream: StreamRef,
    payload: Uint8Array,
    options: Omit<AppendOptions, "series">,
    patience: Patience,
  ): Promise<AppendAnswer> {
    const request = { ...refOf(stream), batch: payload, ...conditions(options) };
    const { clock } = this.#options;
    return this.#ask(node, patience, async ({ connection }, call) => {
      const { append } = LogService.method;
      return appendAnswer(await unaryCall(connection, append, request, { ...call, clock, answerMaxBytes }));
    });
  }

  openSeries(node: string, stream: StreamRef): PeerSeries {
    const { clock, answerMaxMs, neverLeft } = this.#options;
    const clients = this.#clientsOf(node);
    if (clients === undefined) return noSeries;
    return new ForwardSeries({
      ...{ log: clients.log, headers: { [forwardedHeader]: this.self }, stream: refOf(stream), clock, answerMaxMs },
      explain: (error) => forwardedError(error, neverLeft),
    });
  }

  fence(node: string, stream: StreamRef, token: Uint8Array, patience: Patience): Promise<number> {
    return this.#ask(node, patience, async ({ log }, call) => {
      const { nextOffset } = await log.fence({ ...refOf(stream), token }, call);
      return toPosition(nextOffset, "next_offset");
    });
  }

  trim(node: string, { name, id }: StreamRef, offset: number, patience: Patience): Promise<number> {
    const request = { name, streamId: fromPosition(id), logStart: fromPosition(offset) };
    return this.#ask(node, patience, async ({ streams }, call) => {
      const { logStart } = await streams.trimStream(request, call);
      return toPosition(logStart, "log_start");
    });
  }

  async update(
    node: string,
    { name, id }: StreamRef,
    change: { readonly settings: Partial<StreamSettings>; readonly expectedVersion: number | undefined },
    patience: Patience,
  ): Promise<void> {
    const { settings, expectedVersion } = change;
    const request = {
      name,
      streamId: fromPosition(id),
      settings: givenSettingsMessage(settings),
      ...(expectedVersion === undefined ? {} : { expectedSettingsVersion: fromPosition(expectedVersion) }),
    };
    await this.#ask(node, patience, ({ streams }, call) => streams.updateStream(request, call));
  }

  read(node: string, stream: StreamRef, read: PeerRead, patience: Patience): Promise<PeerReadAnswer> {
    const request = { ...refOf(stream), ...readRequest(read) };
    return this.#ask(node, patience, async ({ log }, call) => readAnswer(await log.read(request, call), stream.id));
  }

  async describe(node: string, { name, id }: StreamRef, patience: Patience): Promise<StreamDescription> {
    const there = await this.#ask(node, patience, async ({ streams }, call) =>
      description(streamIn(await streams.getStream({ name }, call))),
    );
    // Ids only grow: who has an older stream of the name has not heard of the one that is meant.
    if (there.id < id) throw behindCatalogue(name);
    if (there.id > id) throw streamReplaced(name, id, there.id);
    return there;
  }

  confirm(node: string, group: number, patience: Patience): Promise<number> {
    const request = { clusterId: this.#options.clusterId, group: fromPosition(group) };
    return this.#ask(node, patience, async ({ peer }, call) => {
      const { index } = await peer.confirm(request, call);
      return toPosition(index, "index");
    });
  }

  async endLog(node: string, group: number, patience: Patience): Promise<void> {
    const request = { clusterId: this.#options.clusterId, group: fromPosition(group) };
    await this.#ask(node, patience, ({ peer }, call) => peer.close(request, call));
  }

  create(
    node: string,
    name: string,
    settings: Partial<StreamSettings>,
    patience: Patience,
  ): Promise<{ readonly id: number; readonly created: boolean }> {
    const request = { name, settings: givenSettingsMessage(settings) };
    return this.#ask(node, patience, async ({ streams }, call) => {
      const answer = await streams.createStream(request, call);
      return { id: toPosition(streamIn(answer).id, "id"), created: answer.created };
    });
  }

  async delete(node: string, { name, id }: StreamRef, patience: Patience): Promise<void> {
    const request = { name, streamId: fromPosition(id) };
    await this.#ask(node, patience, ({ streams }, call) => streams.deleteStream(request, call));
  }

  async #ask<T>(
    node: string,
    { client, timeoutMs, signal }: Patience,
    ask: (
      clients: PeerClients,
      call: { timeoutMs: number; signal: AbortSignal; headers: Record<string, string> },
    ) => Promise<T>,
  ): Promise<T> {
    const clients = this.#clientsOf(node);
    // No time left for a request is as good as no way to the node.
    if (clients === undefined || timeoutMs <= 0)
      throw new UnreachableError(`node ${node} has no address that is known`);
    const headers = { [forwardedHeader]: this.self, [forwardedForHeader]: client };
    try {
      return await ask(clients, { timeoutMs: Math.ceil(timeoutMs), signal, headers });
    } catch (error) {
      throw forwardedError(error, this.#options.neverLeft);
    }
  }

  #clientsOf(node: string): PeerClients | undefined {
    const address = this.#options.addressOf(node);
    if (address === undefined || this.#isClosed) return undefined;
    const known = this.#clients.get(address);
    const clients = known ?? this.#newClients(address);
    if (known !== undefined) this.#clients.delete(address);
    this.#clients.set(address, clients);
    const [oldest] = this.#clients;
    if (this.#clients.size > connectionsMax && oldest) {
      this.#clients.delete(oldest[0]);
      oldest[1].connection.close();
    }
    return clients;
  }

  #newClients(address: string): PeerClients {
    const connection = this.#options.connect(address);
    const transport = createConnectTransport({
      baseUrl: address,
      httpVersion: "2",
      sessionManager: connection,
      acceptCompression: [],
      readMaxBytes: answerMaxBytes,
    });
    return {
      log: createClient(LogService, transport),
      streams: createClient(StreamService, transport),
      peer: createClient(PeerService, transport),
      connection,
    };
  }
}

/** To a node whose address is not known. */
const noSeries: PeerSeries = {
  isOpen: false,
  append: () => Promise.reject(new UnreachableError("the node has no address that is known")),
  end() {},
  abandon() {},
};

function refOf({ name, id }: StreamRef): { readonly stream: string; readonly streamId: bigint } {
  return { stream: name, streamId: fromPosition(id) };
}

/** The stream that an answer is about. */
function streamIn({ stream }: { readonly stream?: StreamMessage | undefined }): StreamMessage {
  return stream ?? create(StreamSchema);
}
