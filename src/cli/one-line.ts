/**
 * What others wrote, as a part of a line of ours: control characters could forge lines, so none goes out.
 * @module
 */

/** The text with a space for each run of them. */
export function onOneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u001f\u007f]+/g, " ");
}
