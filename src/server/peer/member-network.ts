/**
 * Membership over Connect: what this node asks of others (`MemberNet`), and what it serves.
 * @module
 */
import { type Client, createClient, type ServiceImpl } from "@connectrpc/connect";
import type { Message } from "../../gossip/types.ts";
import type { GreetAnswer, Greeting, JoinAnswer, MemberNet, MemberService } from "../../membership/types.ts";
import type { BootstrapMessage } from "../../raft/bootstrap.ts";
import type { NodeId } from "../../raft/types.ts";
import { PeerService } from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
import { sendGossip } from "./gossip-network.ts";
import {
  greetAnswerMessage,
  greetingMessage,
  joinAnswerMessage,
  proposeMessage,
  readGreetAnswer,
  readGreeting,
  readJoinAnswer,
  readPropose,
} from "./greet-messages.ts";
import { asPeerError, readCall } from "./peer-call.ts";
import type { Transports } from "./transports.ts";

/** Who is greeted greets back before it answers, so a greeting may take twice as long as a callback. */
const greetTimeoutMs = 5_000;
const callbackTimeoutMs = 2_000;
const proposeTimeoutMs = 2_000;
const joinTimeoutMs = 5_000;

/** What this node asks of others. */
export class MemberNetwork implements MemberNet {
  readonly #transports: Transports;
  #isClosed = false;

  constructor(transports: Transports) {
    this.#transports = transports;
  }

  async greet(address: string, greeting: Greeting, isCallback: boolean): Promise<GreetAnswer> {
    const request = { greeting: greetingMessage(greeting), isCallback };
    const timeoutMs = isCallback ? callbackTimeoutMs : greetTimeoutMs;
    return readGreetAnswer(await this.#client(address).greet(request, { timeoutMs }));
  }

  propose(address: string, message: BootstrapMessage, ownAddress: string): void {
    if (this.#isClosed) return;
    this.#client(address)
      .propose(proposeMessage(message, ownAddress), { timeoutMs: proposeTimeoutMs })
      .catch(() => {
        // Whoever waits for an answer asks again.
      });
  }

  async join(address: string, clusterId: string, nodeId: NodeId): Promise<JoinAnswer> {
    return readJoinAnswer(await this.#client(address).join({ clusterId, nodeId }, { timeoutMs: joinTimeoutMs }));
  }

  gossip(address: string, message: Message): void {
    if (!this.#isClosed) sendGossip(this.#transports, address, message);
  }

  close(): void {
    this.#isClosed = true;
    this.#transports.close();
  }

  #client(address: string): Client<typeof PeerService> {
    return createClient(PeerService, this.#transports.to(address));
  }
}

/** What a peer port serves of it. @param members Asked for with each call. */
export function memberService(
  members: () => MemberService,
): Pick<ServiceImpl<typeof PeerService>, "greet" | "propose" | "join"> {
  return {
    greet: async ({ greeting, isCallback }, context) => {
      const read = readCall(context, () => readGreeting(greeting));
      return greetAnswerMessage(await members().greeted(read, isCallback));
    },
    propose: (request, context) => {
      const message = readCall(context, () => readPropose(request));
      members().proposed(message, request.peerAddress);
      return {};
    },
    join: ({ clusterId, nodeId }) => {
      try {
        return joinAnswerMessage(members().joinAsked(clusterId, nodeId));
      } catch (error) {
        throw asPeerError(error);
      }
    },
  };
}
