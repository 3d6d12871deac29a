import { RecordKind } from "../../log/format.ts";
import { frameKindName, type PlacedFrame } from "./journal-frames.ts";

/** A frame as it is told of. */
export interface FrameFacts {
  readonly number: number;
  readonly kind: string;
  readonly file: string;
  readonly position: number;
  readonly bytes: number;
  readonly incarnation: number;
  readonly freed: number;
  /** How many records of each kind, as text. */
  readonly records: string;
}

const kindNames = new Map<number, string>(Object.entries(RecordKind).map(([name, kind]) => [kind, name]));

/** What the frames of a journal hold, as they are shown one after the other. */
export class JournalFacts {
  readonly frames: FrameFacts[] = [];
  /** How many records of each kind. */
  readonly records: Record<string, number> = {};

  visit({ frame, slot, records }: PlacedFrame): void {
    const counts = new Map<string, number>();
    for (const { kind } of records) {
      const name = kindNames.get(kind) ?? String(kind);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      this.records[name] = (this.records[name] ?? 0) + 1;
    }
    const { number, position, incarnation, freed } = frame;
    this.frames.push({
      ...{ number, kind: frameKindName(frame.kind), file: `journal/${slot}`, position, bytes: frame.bytes.length },
      ...{ incarnation, freed, records: [...counts].map(([name, count]) => `${name} ${count}`).join(", ") },
    });
  }
}
