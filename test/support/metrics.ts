import assert from "node:assert/strict";

/** What a node counts, as /metrics tells it at one moment; or what came between two. */
export class Metrics {
  readonly #values: ReadonlyMap<string, number>;

  private constructor(values: ReadonlyMap<string, number>) {
    this.#values = values;
  }

  static async of(url: string): Promise<Metrics> {
    const answer = await fetch(`${url}/metrics`);
    assert.equal(answer.status, 200);
    const lines = (await answer.text()).matchAll(/^([a-z_]+(?:\{[^}]*\})?) ([-+.\deE]+)$/gm);
    return new Metrics(new Map([...lines].map(([, name = "", value]) => [name, Number(value)])));
  }

  /** Those of a node at rest: what follows an append by itself, such as marks, has been done. */
  static async settled(url: string): Promise<Metrics> {
    let before = await Metrics.of(url);
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const now = await Metrics.of(url);
      if (now.allSyncs() === before.allSyncs()) return now;
      before = now;
    }
  }

  /** What came between `before` and this. */
  since(before: Metrics): Metrics {
    const earlier = (name: string) => before.#values.get(name) ?? 0;
    return new Metrics(new Map([...this.#values].map(([name, value]) => [name, value - earlier(name)])));
  }

  get(name: string): number {
    const value = this.#values.get(name);
    assert.ok(value !== undefined, `/metrics has no ${name}`);
    return value;
  }

  syncs(purpose: string): number {
    return this.get(`tailrace_log_syncs_total{purpose="${purpose}"}`);
  }

  allSyncs(): number {
    const names = [...this.#values.keys()].filter((name) => name.startsWith("tailrace_log_syncs_total{"));
    assert.ok(names.length > 0, "/metrics has no syncs");
    return names.reduce((sum, name) => sum + this.get(name), 0);
  }

  flushBytes(): number {
    return this.get("tailrace_log_flush_bytes_total");
  }

  /** Bytes of batches that went to segments without being journaled. */
  directBytes(): number {
    return this.get("tailrace_log_direct_bytes_total");
  }

  journalBytes(): number {
    return this.get("tailrace_journal_frame_bytes_total");
  }
}
