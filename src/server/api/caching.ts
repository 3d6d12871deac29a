import type { ReadAnswer } from "./read.ts";

/** For all that may be another answer next time: empty and tail reads, errors, and reads by a name alone. */
export const noStore = "no-store";

const immutable = "public, max-age=31536000, immutable";

/**
 * What shared caches may do with a read that came by GET. A range of offsets below the high watermark never changes; but
 * a name may come to mean another stream, so the request must have had the stream's id too.
 */
export function cacheControl(answer: ReadAnswer, streamId: number | undefined): string {
  return answer.isImmutable && streamId !== undefined ? immutable : noStore;
}
