/**
 * Lists of whole numbers as text, such as `0-4,7`: what a run consists of, written in one word.
 * @module
 */

/** So many numbers, from 0 on. */
export function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

/** Writes numbers that rise. */
export function rangesOf(numbers: readonly number[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last?.to === number - 1) last.to = number;
    else ranges.push({ from: number, to: number });
  }
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/** Reads what `rangesOf` wrote. */
export function numbersIn(text: string): number[] {
  if (text === "") return [];
  return text.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return numbersTo(to - from + 1).map((number) => from + number);
  });
}
