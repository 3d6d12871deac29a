/**
 * State that is rebuilt from any checkpoint and what follows is the same (invariant 10): a log is read from its base on,
 * and each later checkpoint must say what that gives.
 * @module
 */
import { BatchKind } from "../../base/batch.ts";
import type { GroupLog } from "../../log/types.ts";
import type { TermStart } from "../../raft/log-view.ts";
import { hexOf, votersIn } from "../../replica/core-batch.ts";
import { decodeStoredCheckpoint } from "../../replica/log-past.ts";
import { Producers } from "../../stream/producers.ts";
import type { StoredProducer } from "../../wire/checkpoint.ts";
import { must } from "../must.ts";

/** Looks at all checkpoints of a log; gives how many there are beside the base. */
export async function checkCheckpoints(log: GroupLog): Promise<number> {
  const producers = new Producers();
  const starts: TermStart[] = [];
  let [voters, appendTimeMicros, checked] = ["", 0, 0];
  for (let next = log.base.index; next < log.durableEnd.index; ) {
    const batches = await log.read({ from: { index: next }, belowIndex: log.durableEnd.index, maxBytes: 1 << 20 });
    for (const batch of batches) {
      const { index, term, producer, kind, baseOffset: startOffset, recordCount } = batch;
      const name = `batch ${index} of group ${log.group}`;
      must(batch.appendTimeMicros >= appendTimeMicros, `${name} is older than the one before it`);
      const votersHere = votersIn(batch)?.join();
      if (kind === BatchKind.checkpoint) {
        const said = decodeStoredCheckpoint(batch);
        if (index === log.base.index) producers.restore(said.producers);
        else {
          const rebuilt = producers.checkpoint(index, appendTimeMicros);
          must(textOf(said.producers) === textOf(rebuilt), `invariant 10: ${name} says other producers`);
          must(votersHere === voters, `invariant 10: ${name} says other voters: ${votersHere}, not ${voters}`);
          const from = Math.max(log.base.index, said.termStarts[0]?.index ?? index);
          must(startsOf(said.termStarts, from) === startsOf(starts, from), `invariant 10: ${name} says other terms`);
          checked += 1;
        }
      }
      if (votersHere !== undefined) voters = votersHere;
      if (term > (starts.at(-1)?.term ?? -1)) starts.push({ term, index });
      appendTimeMicros = batch.appendTimeMicros;
      if (producer) {
        const digest = batch.digest.slice();
        producers.placed(producer, { index, startOffset, recordCount, appendTimeMicros, digest });
        producers.committed(index + 1);
      }
      next = index + 1;
    }
    if (batches.length === 0) break;
  }
  return checked;
}

function startsOf(starts: readonly TermStart[], above: number): string {
  const later = starts.filter(({ index }) => index > above);
  return later.map(({ term, index }) => `${term}@${index}`).join();
}

function textOf(producers: readonly StoredProducer[]): string {
  const texts = producers.map(({ id, epoch, sequence, index, startOffset, recordCount, appendTimeMicros, digest }) => {
    return [hexOf(id), epoch, sequence, index, startOffset, recordCount, appendTimeMicros, hexOf(digest)].join();
  });
  return texts.sort().join("\n");
}
