/**
 * Prints nested values for people: a member a line, and lists of alike things as tables.
 * @module
 */

/** The lines of a value's members, those below another indented. */
export function plainLines(value: object, indent = ""): string[] {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const width = Math.max(0, ...members.map(([name]) => name.length)) + 2;
  return members.flatMap(([name, member]): string[] => {
    if (!isObject(member)) return [`${indent}${name.padEnd(width)}${printable(String(member))}`];
    if (Array.isArray(member)) return [`${indent}${name}`, ...listLines(member, `${indent}  `)];
    const inner = plainLines(member, `${indent}  `);
    return inner.length > 0 ? [`${indent}${name}`, ...inner] : [`${indent}${name.padEnd(width)}none`];
  });
}

function listLines(list: readonly unknown[], indent: string): string[] {
  if (list.length === 0) return [`${indent}none`];
  const rows = list.filter(isObject);
  const isFlat = rows.length === list.length && rows.every((row) => !Object.values(row).some(isObject));
  if (isFlat) return tableLines(rows, indent);
  return list.flatMap((item) =>
    isObject(item) ? [`${indent}-`, ...plainLines(item, `${indent}  `)] : [`${indent}${printable(String(item))}`],
  );
}

function tableLines(rows: readonly object[], indent: string): string[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => {
    const members = new Map<string, unknown>(Object.entries(row));
    return names.map((name) => members.get(name) ?? "-");
  });
  const table = [names.map(headOf), ...cells.map((row) => row.map((cell) => printable(String(cell))))];
  const isNumber = names.map((_, column) => cells.every((row) => typeof row[column] === "number"));
  const widths = names.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) => {
    const aligned = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return isNumber[column] ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${indent}${aligned.join("  ")}`.trimEnd();
  });
}

/** Text with nothing in it that could move a terminal's cursor, or pass for another line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** `firstIndex` as `FIRST INDEX`. */
function headOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter}`).toUpperCase();
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
