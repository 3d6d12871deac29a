/**
 * fly.toml, read as far as it goes: tables, arrays of tables, and values of one line. What else TOML has is refused, so that
 * nothing is read wrongly.
 * @module
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { parseDurationMs } from "../../src/cli/units.ts";

type Value = string | number | boolean | readonly Value[];
type Table = Map<string, Value | Table | Table[]>;

/** The file; values are named by their path, such as `http_service.internal_port`. */
export class FlyFile {
  readonly #root: Table;

  constructor(root: Table) {
    this.#root = root;
  }

  value(path: string): Value | Table | Table[] | undefined {
    let at: Value | Table | Table[] | undefined = this.#root;
    for (const key of path.split(".")) at = at instanceof Map ? at.get(key) : undefined;
    return at;
  }

  text(path: string): string {
    const value = this.value(path);
    assert.ok(typeof value === "string", `${path} is no text`);
    return value;
  }

  number(path: string): number {
    const value = this.value(path);
    assert.ok(typeof value === "number", `${path} is no number`);
    return value;
  }

  /** A text such as `30s`, in seconds. */
  seconds(path: string): number {
    const ms = parseDurationMs(this.text(path));
    assert.ok(ms !== undefined, `${path} is no time`);
    return ms / 1000;
  }

  /** The tables of an array, each with its own values. */
  tables(path: string): FlyFile[] {
    const value = this.value(path);
    assert.ok(Array.isArray(value), `${path} is no array of tables`);
    return value.map((table) => {
      assert.ok(table instanceof Map);
      return new FlyFile(table);
    });
  }

  /** A table of texts. */
  texts(path: string): Record<string, string> {
    const table = this.value(path);
    assert.ok(table instanceof Map, `${path} is no table`);
    return Object.fromEntries([...table.keys()].map((key) => [key, this.text(`${path}.${key}`)]));
  }
}

/** The one of the repository. */
export function flyFile(): FlyFile {
  const text = fs.readFileSync(new URL("../../fly.toml", import.meta.url), "utf8");
  const root: Table = new Map();
  let at = root;
  for (const line of text.split("\n")) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const [, array, table] = /^\[(?:\[([\w.]+)\]|([\w.]+))\]$/.exec(line) ?? [];
    const [, key, value] = /^(\w+) = (.+)$/.exec(line) ?? [];
    if (array !== undefined) at = newTable(root, array.split("."), true);
    else if (table !== undefined) at = newTable(root, table.split("."), false);
    else if (key !== undefined && value !== undefined) at.set(key, parseValue(value));
    else throw new Error(`fly.toml has a line that this test can't read: ${line}`);
  }
  return new FlyFile(root);
}

function newTable(root: Table, path: readonly string[], inArray: boolean): Table {
  const last = path.at(-1) ?? "";
  let parent = root;
  for (const key of path.slice(0, -1)) {
    const next = parent.get(key);
    assert.ok(next instanceof Map, `fly.toml has no table ${key} yet`);
    parent = next;
  }
  const table: Table = new Map();
  const before = parent.get(last);
  if (!inArray) {
    assert.equal(before, undefined, `fly.toml has ${last} twice`);
    parent.set(last, table);
  } else {
    const tables: Table[] = [];
    if (Array.isArray(before)) for (const one of before) if (one instanceof Map) tables.push(one);
    parent.set(last, [...tables, table]);
  }
  return table;
}

/** Strings, whole numbers, booleans and arrays of one line are written in TOML as in JSON. */
function parseValue(text: string): Value {
  return JSON.parse(text);
}
