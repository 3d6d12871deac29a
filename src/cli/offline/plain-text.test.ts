import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { plainLines } from "./plain-text.ts";

describe("plainLines()", () => {
  test("prints members, what is below them, tables and lists", () => {
    const value = {
      name: "a",
      nextOffset: 7,
      nothing: undefined,
      end: { index: 3 },
      empty: {},
      none: [],
      rows: [
        { firstIndex: 0, name: "long name" },
        { firstIndex: 120, name: "b", more: true },
      ],
      nested: [{ says: { x: 1 } }],
    };
    assert.deepEqual(plainLines(value), [
      "name        a",
      "nextOffset  7",
      "end",
      "  index  3",
      "empty       none",
      "none",
      "  none",
      "rows",
      "  FIRST INDEX  NAME       MORE",
      "            0  long name  -",
      "          120  b          true",
      "nested",
      "  -",
      "    says",
      "      x  1",
    ]);
  });

  test("lets nothing through that a terminal would act on", () => {
    const text = plainLines({ value: "a\u001b[2J\nb", rows: [{ name: "x\u009by\r" }], list: ["\u0007"] }).join("|");
    assert.equal(text, "value  a\\x1b[2J\\x0ab|rows|  NAME|  x\\x9by\\x0d|list|  \\x07");
  });
});
