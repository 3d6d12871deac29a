import assert from "node:assert/strict";

/** The values of all records of a stream, by GET and JSON, page after page. */
export async function readByRest(url: string, stream: string): Promise<Uint8Array[]> {
  const values: Uint8Array[] = [];
  for await (const page of pages(url, stream, "application/json")) {
    const { batches = [] }: ReadAnswer = JSON.parse(page.toString());
    const records = batches.flatMap((batch) => batch.records);
    values.push(...records.map(({ value = "" }) => Buffer.from(value, "base64")));
  }
  return values;
}

/** The same as text: each value with a newline after it. */
export async function textByRest(url: string, stream: string): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const page of pages(url, stream, "text/plain")) all.push(page);
  return Buffer.concat(all);
}

/** What is looked at of a ReadResponse as JSON, which leaves out what is empty. */
interface ReadAnswer {
  readonly batches?: readonly { readonly records: readonly { readonly value?: string }[] }[];
}

async function* pages(url: string, stream: string, accept: string): AsyncGenerator<Buffer> {
  for (let from = "0"; ; ) {
    const answer = await fetch(`${url}/v1/streams/${stream}/records?from=${from}`, { headers: { accept } });
    const body = Buffer.from(await answer.arrayBuffer());
    assert.equal(answer.status, 200, body.toString());
    yield body;
    const next = answer.headers.get("tailrace-next-offset");
    assert.ok(next !== null);
    if (next === answer.headers.get("tailrace-high-watermark")) return;
    assert.notEqual(next, from, "a read that is not at the end gives something");
    from = next;
  }
}
