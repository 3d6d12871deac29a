import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isSystemName } from "../base/stream-name.ts";
import { SortedNames } from "./sorted-names.ts";

const name = fc.stringMatching(/^[aAb_/.-]{1,5}$/);
const change = fc.record({ name, isAdded: fc.boolean() });

describe("SortedNames", () => {
  test("pages give what sorting all names gives", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(name),
        fc.array(change),
        fc.record({ prefix: fc.oneof(fc.constant(""), name), after: fc.option(name, { nil: undefined }) }),
        fc.integer({ min: 1, max: 5 }),
        (first, changes, { prefix, after }, limit) => {
          const names = new SortedNames(first);
          const twin = new Set(first);
          for (const { name, isAdded } of changes) {
            if (isAdded && !twin.has(name)) {
              twin.add(name);
              names.add(name);
            } else if (!isAdded && twin.has(name)) {
              twin.delete(name);
              names.delete(name);
            }
          }
          const wanted = [...twin]
            .filter((name) => name.startsWith(prefix) && (isSystemName(prefix) || !isSystemName(name)))
            .filter((name) => after === undefined || Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0)
            .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
          const request = after === undefined ? { prefix, limit } : { prefix, after, limit };
          assert.deepEqual(names.page(request), {
            names: wanted.slice(0, limit),
            hasMore: wanted.length > limit,
          });
        },
      ),
    );
  });

  test("page after page gives every name once, at 10,000 names too", () => {
    const all = Array.from({ length: 10_000 }, (_, at) => `s${(at * 7919) % 10_000}`);
    const names = new SortedNames(all);
    const seen: string[] = [];
    let page = names.page({ prefix: "", limit: 999 });
    seen.push(...page.names);
    while (page.hasMore) {
      page = names.page({ prefix: "", after: seen.at(-1) ?? "", limit: 999 });
      seen.push(...page.names);
    }
    assert.deepEqual(seen, [...all].sort());
  });
});
