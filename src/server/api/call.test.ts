import assert from "node:assert/strict";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { test } from "node:test";
import { Call } from "./call.ts";

test("what another node passed on goes no further, and is its client's; who only says so is whom he calls from", () => {
  const incoming = new IncomingMessage(new Socket());
  Object.assign(incoming.headers, { "tailrace-forwarded": "b", "tailrace-forwarded-for": "10.0.0.9" });
  const passedOn = new Call("1", "r", incoming, true);
  assert.deepEqual([passedOn.routing, passedOn.address], ["forwarded", "10.0.0.9"]);
  const direct = new Call("2", "r", incoming);
  assert.deepEqual([direct.routing, direct.address], ["pass_on", ""]);
  direct.refuseElsewhere();
  passedOn.refuseElsewhere();
  assert.deepEqual([direct.routing, passedOn.routing], ["refuse", "forwarded"]);
});
