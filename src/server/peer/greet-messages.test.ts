/** What nodes say before they are of one cluster comes out as it went in, and what no node says is refused by its name. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { GreetAnswer, Greeting, JoinAnswer } from "../../membership/types.ts";
import type { BootstrapMessage } from "../../raft/bootstrap.ts";
import {
  AcquaintanceSchema,
  GreetingSchema,
  GreetResponseSchema,
  JoinResponseSchema,
  ProposeRequestSchema,
} from "../../wire/gen/tailrace/peer/v1/peer_pb.ts";
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

function sent<D extends DescMessage>(schema: D, message: MessageInitShape<D>): MessageShape<D> {
  return fromBinary(schema, toBinary(schema, create(schema, message)));
}

const clusterId = "0190f3a2b7c47abc8def0123456789ab";
const replica = `a/${"0f".repeat(16)}/0`;
const greeting: Greeting = {
  ...{ node: "node-1", disk: "0f".repeat(16), instance: "1234", version: "1.2.3", clusterId, region: "fra" },
  ...{ peerAddress: "[fd77::1]:8500", apiUrl: "http://10.0.0.1:8400", role: "observer", nowMicros: 2 ** 50 },
  bootstrapExpect: 3,
  acquaintances: [{ node: "b", peerAddress: "b.internal:1" }],
};

describe("what is said comes out as it went in:", () => {
  test("a greeting, and its answer", () => {
    assert.deepEqual(readGreeting(sent(GreetingSchema, greetingMessage(greeting))), greeting);
    const fresh: Greeting = { ...greeting, role: "voter", clusterId: "", acquaintances: [], bootstrapExpect: 0 };
    const answer: GreetAnswer = { greeting: fresh, unreachable: "no", refused: "two" };
    assert.deepEqual(readGreetAnswer(sent(GreetResponseSchema, greetAnswerMessage(answer))), answer);
  });

  const messages: readonly BootstrapMessage[] = [
    { kind: "propose", from: replica, proposal: { clusterId, replicas: [replica, `b/${"00".repeat(16)}/0`] } },
    { kind: "accepted", from: replica, clusterId },
    { kind: "refused", from: replica, clusterId, why: "it has data" },
  ];
  for (const message of messages) {
    test(`"${message.kind}" of a cluster that may come to be`, () => {
      const request = sent(ProposeRequestSchema, proposeMessage(message, "a:1"));
      assert.deepEqual([readPropose(request), request.peerAddress], [message, "a:1"]);
    });
  }

  test("what makes _meta", () => {
    const birth = { checkpoint: new Uint8Array([1, 2]), startOffset: 0, appendTimeMicros: 2 ** 51 };
    const answer: JoinAnswer = { birth, voters: [replica] };
    assert.deepEqual(readJoinAnswer(sent(JoinResponseSchema, joinAnswerMessage(answer))), answer);
  });
});

describe("what no node says is refused:", () => {
  const greetings = [
    { name: "nothing", greeting: undefined, why: /^Invalid greeting: it is missing$/ },
    {
      name: "another protocol",
      greeting: { protocol: 2 },
      why: /it speaks version 2 of the peer protocol, this node 1$/,
    },
    { name: "a name that no node has", greeting: { nodeId: "a/b" }, why: /^Invalid greeting\.node_id: / },
    { name: "a name that is too long", greeting: { nodeId: "a".repeat(64) }, why: /^Invalid greeting\.node_id: / },
    { name: "no address", greeting: { peerAddress: "nowhere" }, why: /^Invalid greeting\.peer_address: / },
    {
      name: "a text without end",
      greeting: { region: "r".repeat(256) },
      why: /^Invalid greeting: a part of it is too long$/,
    },
  ];
  for (const { name, greeting: changes, why } of greetings) {
    test(`${name}, as a greeting`, () => {
      const message = changes && create(GreetingSchema, { ...greetingMessage(greeting), ...changes });
      assert.throws(() => readGreeting(message), { message: why });
    });
  }

  test("a reason without end is taken up to its limit", () => {
    const why = "w".repeat(5_000);
    const answer = sent(GreetResponseSchema, greetAnswerMessage({ greeting, unreachable: why, refused: why }));
    const { unreachable, refused } = readGreetAnswer(answer);
    assert.deepEqual([unreachable, refused], [why.slice(0, 1_000), why.slice(0, 1_000)]);
  });

  test("acquaintances that are none are left out", () => {
    const acquaintances = [
      { nodeId: "", peerAddress: "b:1" },
      { nodeId: "b", peerAddress: "b" },
      { nodeId: "c", peerAddress: "c:1" },
    ];
    const { acquaintances: _, ...rest } = greetingMessage(greeting);
    const message = create(GreetingSchema, {
      ...rest,
      acquaintances: acquaintances.map((one) => create(AcquaintanceSchema, one)),
    });
    assert.deepEqual(readGreeting(message).acquaintances, [{ node: "c", peerAddress: "c:1" }]);
  });

  const proposal = { clusterId, replicas: [replica] };
  const proposals: readonly {
    readonly name: string;
    readonly message: MessageInitShape<typeof ProposeRequestSchema>;
  }[] = [
    { name: "nothing", message: { from: replica } },
    { name: "by nobody", message: { from: "a", kind: { case: "propose", value: proposal } } },
    {
      name: "of a life that can't be kept",
      message: {
        from: replica,
        kind: { case: "propose", value: { clusterId, replicas: [`${replica.slice(0, -1)}4294967296`] } },
      },
    },
    {
      name: "of more than can be kept",
      message: {
        from: replica,
        kind: {
          case: "propose",
          value: { clusterId, replicas: Array.from({ length: 13 }, (_, at) => `${at}/${"0f".repeat(16)}/0`) },
        },
      },
    },
    { name: "of nobody", message: { from: replica, kind: { case: "propose", value: { clusterId, replicas: [] } } } },
    {
      name: "of one twice",
      message: { from: replica, kind: { case: "propose", value: { clusterId, replicas: [replica, replica] } } },
    },
    {
      name: "without a name",
      message: { from: replica, kind: { case: "propose", value: { ...proposal, clusterId: "x" } } },
    },
    { name: "that is no cluster's acceptance", message: { from: replica, kind: { case: "accepted", value: "" } } },
    { name: "that is no cluster's refusal", message: { from: replica, kind: { case: "refused", value: {} } } },
  ];
  for (const { name, message } of proposals) {
    test(`a proposal ${name}`, () => {
      assert.throws(() => readPropose(create(ProposeRequestSchema, message)), { reason: "invalid_field" });
    });
  }
});
