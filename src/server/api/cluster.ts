/**
 * The calls of ClusterService.
 * @module
 */
import { create } from "@bufbuild/protobuf";
import { invalidField } from "../../base/errors.ts";
import {
  type AddVoterRequest,
  type AddVoterResponse,
  AddVoterResponseSchema,
  type GetServersRequest,
  type GetServersResponse,
  GetServersResponseSchema,
  type RemoveVoterRequest,
  type RemoveVoterResponse,
  RemoveVoterResponseSchema,
  type TransferLeadershipRequest,
  type TransferLeadershipResponse,
  TransferLeadershipResponseSchema,
  type WatchServersRequest,
  type WatchServersResponse,
  WatchServersResponseSchema,
} from "../../wire/gen/tailrace/v1/cluster_pb.ts";
import type { Call } from "./call.ts";
import { clusterMessage, serverMessage } from "./cluster-messages.ts";
import type { LeadershipRequest } from "./cluster-view.ts";
import { type ApiContext, openCluster } from "./context.ts";
import { Waker } from "./waker.ts";

const namesMaxDefault = 10;
const namesMaxMost = 1000;
const intervalMsDefault = 5000;
const intervalMsLeast = 200;
const intervalMsMost = 60_000;
const nodeIdForm = /^[a-zA-Z0-9._-]{1,63}$/;

export async function getServers(api: ApiContext, request: GetServersRequest, call: Call): Promise<GetServersResponse> {
  return create(GetServersResponseSchema, await described(api, namesMaxOf(request.namesMax), call));
}

/** Yields the nodes whenever something changed, at most every `intervalMsLeast`, and at least as often as was asked for. */
export async function* watchServers(
  api: ApiContext,
  request: WatchServersRequest,
  call: Call,
): AsyncGenerator<WatchServersResponse> {
  const waker = new Waker();
  const stops = [call.onEnd(waker.wake), api.drain.onDrain(waker.wake)];
  try {
    const namesMax = namesMaxOf(request.namesMax);
    const intervalMs = intervalMsOf(request.intervalMs);
    let isChanged = false;
    stops.push(
      openCluster(api).onChange(() => {
        isChanged = true;
        waker.wake();
      }),
    );
    while (call.ended === undefined) {
      isChanged = false;
      yield create(WatchServersResponseSchema, await described(api, namesMax, call));
      const toldAtMs = api.clock.monotonicMs();
      const dueMs = () => toldAtMs + (isChanged ? intervalMsLeast : intervalMs) - api.clock.monotonicMs();
      while (call.ended === undefined && !api.drain.isDraining && dueMs() > 0) {
        const timer = api.clock.after(dueMs(), waker.wake);
        await waker.sleep();
        timer.cancel();
      }
    }
    throw call.ended;
  } catch (error) {
    throw api.mapError(error, { callId: call.id, rpc: call.rpc });
  } finally {
    for (const stop of stops) stop();
  }
}

export async function addVoter(api: ApiContext, request: AddVoterRequest, call: Call): Promise<AddVoterResponse> {
  const voters = await call.race(openCluster(api).addVoter(nodeIdOf(request.nodeId, "node_id"), mayPassOn(call)));
  return create(AddVoterResponseSchema, { voters: [...voters] });
}

export async function removeVoter(
  api: ApiContext,
  { nodeId, force }: RemoveVoterRequest,
  call: Call,
): Promise<RemoveVoterResponse> {
  const voters = await call.race(openCluster(api).removeVoter(nodeIdOf(nodeId, "node_id"), force, mayPassOn(call)));
  return create(RemoveVoterResponseSchema, { voters: [...voters] });
}

export async function transferLeadership(
  api: ApiContext,
  request: TransferLeadershipRequest,
  call: Call,
): Promise<TransferLeadershipResponse> {
  const asked = leadershipRequest(request);
  const { moved, failed, failure } = await call.race(openCluster(api).transferLeadership(asked, mayPassOn(call)));
  return create(TransferLeadershipResponseSchema, {
    moved: BigInt(moved),
    failed: BigInt(failed),
    failure: failure ?? "",
  });
}

/** What another node passed on goes no further. */
function mayPassOn(call: Call): boolean {
  return call.routing !== "forwarded";
}

async function described(api: ApiContext, namesMax: number, call: Call) {
  const status = await call.race(openCluster(api).describe(namesMax));
  return {
    cluster: clusterMessage(status),
    servers: status.servers.map((server) => serverMessage(server, status)),
  };
}

function leadershipRequest({ what, to: node }: TransferLeadershipRequest): LeadershipRequest {
  const to = node === "" ? undefined : nodeIdOf(node, "to");
  switch (what.case) {
    case "stream":
      return { kind: "stream", name: what.value, to };
    case "nodeId":
      return { kind: "node", id: nodeIdOf(what.value, "node_id"), to };
    case "spread":
      if (!what.value) throw invalidField("spread", "it is false", "Leave it out, and name a stream or a node");
      if (to !== undefined) throw invalidField("to", "it comes with spread", "Leave it out: leaders go to all nodes");
      return { kind: "spread" };
    case undefined:
      throw invalidField("what", "nothing is named", "Give one of stream, node_id and spread");
  }
}

function nodeIdOf(id: string, field: string): string {
  if (nodeIdForm.test(id)) return id;
  throw invalidField(field, "it is no node's id", "Give one as GetServers tells them: 1 to 63 of [a-zA-Z0-9._-]");
}

function namesMaxOf(asked: number): number {
  if (asked > namesMaxMost) {
    throw invalidField("names_max", `${asked} is more than ${namesMaxMost}`, "Ask for fewer names");
  }
  return asked === 0 ? namesMaxDefault : asked;
}

function intervalMsOf(asked: number): number {
  if (asked === 0) return intervalMsDefault;
  if (asked >= intervalMsLeast && asked <= intervalMsMost) return asked;
  const why = `${asked} is not from ${intervalMsLeast} to ${intervalMsMost}`;
  throw invalidField("interval_ms", why, "Ask for another interval, or leave it out");
}
