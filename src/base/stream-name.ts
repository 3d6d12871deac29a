import { invalidField } from "./errors.ts";

/** Longest name of a stream, bytes. */
export const streamNameMaxBytes = 255;

/**
 * Checks the name of a stream: 1 to 255 of `[a-zA-Z0-9._/-]`, no empty, `.` or `..` segment.
 * Names beginning with `_` are the system's; whether one may be used is the caller's to decide.
 * @throws {TailraceError} `invalid_field`, naming `field`.
 */
export function checkStreamName(name: string, field: string): void {
  const todo = "Use 1 to 255 of a-z A-Z 0-9 . _ / -, with no empty, . or .. part between slashes";
  if (name.length === 0) throw invalidField(field, "the stream's name is empty", todo);
  const strange = /[^a-zA-Z0-9._/-]/u.exec(name);
  if (strange) throw invalidField(field, `the stream's name has ${JSON.stringify(strange[0])} in it`, todo);
  if (name.length > streamNameMaxBytes) {
    throw invalidField(field, `the stream's name is ${name.length} bytes long, more than ${streamNameMaxBytes}`, todo);
  }
  for (const segment of name.split("/")) {
    if (segment === "") throw invalidField(field, `"${name}" has an empty part`, todo);
    if (segment === "." || segment === "..") throw invalidField(field, `"${name}" has the part "${segment}"`, todo);
  }
}

/** Whether the name is one of the system's, such as `_meta`. */
export function isSystemName(name: string): boolean {
  return name.startsWith("_");
}
