/**
 * Greetings, and what begins a cluster or joins one, as they go over the wire, and back.
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { foundersMax } from "../../base/cluster-options.ts";
import { invalidField, TailraceError } from "../../base/errors.ts";
import { readHostPort } from "../../base/host-port.ts";
import { isNodeId } from "../../base/node-id.ts";
import type { GreetAnswer, Greeting, JoinAnswer } from "../../membership/types.ts";
import type { BootstrapMessage } from "../../raft/bootstrap.ts";
import type {
  GreetingSchema,
  GreetResponse,
  GreetResponseSchema,
  JoinResponse,
  JoinResponseSchema,
  ProposeRequest,
  ProposeRequestSchema,
  Greeting as WireGreeting,
} from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { fromPosition, toPosition } from "../../wire/position.ts";
import { checkReplica } from "./replica-name.ts";

/** What this version speaks on the peer port. */
export const peerProtocol = 1;

/** Longest text that a node says of itself. */
const textMaxBytes = 255;
/** Longest reason that is taken. */
const whyMaxLength = 1000;

export function greetingMessage(greeting: Greeting): MessageInitShape<typeof GreetingSchema> {
  const { node, disk, instance, version, clusterId, peerAddress, apiUrl, region, role, acquaintances } = greeting;
  return {
    ...{ protocol: peerProtocol, nodeId: node, diskId: disk, instance, version, clusterId, peerAddress, region, role },
    apiAddress: apiUrl,
    clockMicros: fromPosition(greeting.nowMicros),
    bootstrapExpect: greeting.bootstrapExpect,
    acquaintances: acquaintances.map((one) => ({ nodeId: one.node, peerAddress: one.peerAddress })),
  };
}

/** @throws {TailraceError} It is of another protocol, or no node says such a thing. */
export function readGreeting(greeting: WireGreeting | undefined): Greeting {
  if (!greeting) throw invalidField("greeting", "it is missing", "Send it whole");
  const {
    protocol,
    nodeId: node,
    diskId: disk,
    instance,
    version,
    clusterId,
    peerAddress,
    apiAddress,
    region,
  } = greeting;
  if (protocol !== peerProtocol) throw otherProtocol(greeting);
  for (const text of [disk, instance, version, clusterId, apiAddress, region]) {
    if (text.length > textMaxBytes) throw invalidField("greeting", "a part of it is too long", "Say less");
  }
  if (!isNodeId(node))
    throw invalidField("greeting.node_id", "it is no node's name", "Use 1 to 63 of a-z A-Z 0-9 . _ -");
  if (!readHostPort(peerAddress)) throw invalidField("greeting.peer_address", "it is not HOST:PORT", "Send one");
  return {
    ...{ node, disk, instance, version, clusterId, peerAddress, apiUrl: apiAddress, region },
    role: greeting.role === "observer" ? "observer" : "voter",
    nowMicros: toPosition(greeting.clockMicros, "greeting.clock_micros"),
    bootstrapExpect: greeting.bootstrapExpect,
    acquaintances: greeting.acquaintances
      .filter((one) => isNodeId(one.nodeId) && readHostPort(one.peerAddress) !== undefined)
      .map((one) => ({ node: one.nodeId, peerAddress: one.peerAddress })),
  };
}

export function greetAnswerMessage(answer: GreetAnswer): MessageInitShape<typeof GreetResponseSchema> {
  return { ...answer, greeting: greetingMessage(answer.greeting) };
}

/** @throws {TailraceError} As `readGreeting`. */
export function readGreetAnswer({ greeting, unreachable, refused }: GreetResponse): GreetAnswer {
  const said = { unreachable: unreachable.slice(0, whyMaxLength), refused: refused.slice(0, whyMaxLength) };
  return { greeting: readGreeting(greeting), ...said };
}

export function proposeMessage(
  message: BootstrapMessage,
  peerAddress: string,
): MessageInitShape<typeof ProposeRequestSchema> {
  const { from } = message;
  switch (message.kind) {
    case "propose": {
      const { clusterId, replicas } = message.proposal;
      return { from, peerAddress, kind: { case: "propose", value: { clusterId, replicas: [...replicas] } } };
    }
    case "accepted":
      return { from, peerAddress, kind: { case: "accepted", value: message.clusterId } };
    case "refused": {
      const { clusterId, why } = message;
      return { from, peerAddress, kind: { case: "refused", value: { clusterId, why } } };
    }
  }
}

/** @throws {TailraceError} No node says such a thing. */
export function readPropose({ from, kind }: ProposeRequest): BootstrapMessage {
  checkReplica(from, "from");
  switch (kind.case) {
    case "propose": {
      const { clusterId, replicas } = kind.value;
      checkClusterId(clusterId);
      for (const replica of replicas) checkReplica(replica, "propose.replicas");
      if (replicas.length === 0 || replicas.length > foundersMax || new Set(replicas).size < replicas.length) {
        throw invalidField("propose.replicas", `they are not 1 to ${foundersMax} different ones`, "Send others");
      }
      return { kind: "propose", from, proposal: { clusterId, replicas } };
    }
    case "accepted":
      checkClusterId(kind.value);
      return { kind: "accepted", from, clusterId: kind.value };
    case "refused":
      checkClusterId(kind.value.clusterId);
      return { kind: "refused", from, clusterId: kind.value.clusterId, why: kind.value.why.slice(0, textMaxBytes) };
    case undefined:
      throw invalidField("kind", "it is none that this version knows", "Upgrade this node");
  }
}

export function joinAnswerMessage({ birth, voters }: JoinAnswer): MessageInitShape<typeof JoinResponseSchema> {
  return {
    checkpoint: birth.checkpoint,
    startOffset: fromPosition(birth.startOffset),
    appendTimeMicros: fromPosition(birth.appendTimeMicros),
    voters: [...voters],
  };
}

/** @throws {TailraceError} No node says such a thing. */
export function readJoinAnswer({ checkpoint, startOffset, appendTimeMicros, voters }: JoinResponse): JoinAnswer {
  for (const voter of voters) checkReplica(voter, "voters");
  return {
    birth: {
      checkpoint,
      startOffset: toPosition(startOffset, "start_offset"),
      appendTimeMicros: toPosition(appendTimeMicros, "append_time_micros"),
    },
    voters,
  };
}

function checkClusterId(clusterId: string): void {
  if (!/^[0-9a-f]{32}$/.test(clusterId))
    throw invalidField("cluster_id", "it is not 32 hexadecimal digits", "Send one");
}

function otherProtocol({ protocol, version, nodeId }: WireGreeting): TailraceError {
  const what = `The node ${JSON.stringify(nodeId.slice(0, 63))} of version ${JSON.stringify(version.slice(0, 63))} can't be met`;
  const why = `it speaks version ${protocol} of the peer protocol, this node ${peerProtocol}`;
  return new TailraceError("not_built", { what, why, todo: "Run versions that speak the same" });
}
