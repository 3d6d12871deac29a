import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { EvenVoters } from "./even-voters.ts";

/** What is warned of by looks at these voters, each so many seconds after the start. */
function warnings(...looks: readonly { atS: number; voters: string | undefined }[]): string[] {
  const said: string[] = [];
  const even = new EvenVoters(pino({ base: null }, { write: (line: string) => void said.push(JSON.parse(line).msg) }));
  for (const { atS, voters } of looks) even.look(voters?.split(" "), 1000 * atS);
  return said.map((line) => line.split(". ")[0] ?? "");
}

const four = "The cluster has 4 voters, a, b, c, d: no more of them may be down than of 3";
const two = "The cluster has two voters, a, b: while either is down nothing is appended";

describe("an even number of voters", () => {
  const cases = [
    {
      what: "is warned of when it stays, once",
      looks: [0, 9, 10, 11, 60, 600].map((atS) => ({ atS, voters: "a b c d" })),
      said: [four],
    },
    { what: "is not, when it is odd", looks: [0, 20, 40].map((atS) => ({ atS, voters: "a b c" })), said: [] },
    {
      what: "is not, when it is passed through",
      looks: [
        { atS: 0, voters: "a" },
        { atS: 20, voters: "a b" },
        { atS: 29, voters: "a b" },
        { atS: 30, voters: "a b c" },
        { atS: 50, voters: "a b c" },
      ],
      said: [],
    },
    {
      what: "is warned of again when it is another set",
      looks: [
        { atS: 0, voters: "b a a d c" },
        { atS: 10, voters: "a b c d" },
        { atS: 20, voters: "a b c" },
        { atS: 40, voters: "a b" },
        { atS: 50, voters: "a b" },
      ],
      said: [four, two],
    },
    {
      what: "is counted from when this node leads",
      looks: [
        { atS: 0, voters: "a b" },
        { atS: 5, voters: undefined },
        { atS: 12, voters: "a b" },
        { atS: 21, voters: "a b" },
        { atS: 22, voters: "a b" },
      ],
      said: [two],
    },
  ];
  for (const { what, looks, said } of cases) test(what, () => assert.deepEqual(warnings(...looks), said));
});
