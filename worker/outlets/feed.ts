/** Feeds a growing part into another program, as it is written and no faster than that program takes it. */
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, openPart, type PartReader } from './matroska.js';
import type { OpenPart } from './part-line.js';

/** A cluster is written every 250 ms. */
const pollMs = 100;
/** Whoever is later than this is given the newest key frame next: a live stream is of no use late. */
const longestLagMs = 6_000;

export interface FeedOptions {
  part: OpenPart;
  sink: Writable;
  /** `newest`: from the last picture on that can be decoded by itself. */
  from: 'start' | 'newest';
  signal: AbortSignal;
}

/** Resolves when the part is closed and everything was handed over; the sink is ended then. Rejects with the signal's reason. */
export async function feedPart({ part, sink, from, signal }: FeedOptions): Promise<void> {
  const reader = await opened(part, signal);
  if (!reader) return void sink.end();
  try {
    let waiting: Cluster[] = [];
    let begun = false;
    for (;;) {
      signal.throwIfAborted();
      // Asked before looking: a part that is closed by then is read to its end.
      const isClosed = part.isClosed();
      waiting.push(...(await reader.look()));
      if (!begun && waiting.length > 0) {
        if (from === 'newest') waiting = await fromNewestKey(reader, waiting);
        await write(sink, await reader.header(), signal);
        begun = true;
      }
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        await write(sink, await reader.read(next), signal);
        waiting.push(...(await reader.look()));
        if (await isLate(reader, waiting)) waiting = await fromNewestKey(reader, waiting);
      }
      if (isClosed) break;
      await sleep(pollMs, undefined, { signal }).catch(() => {});
    }
    sink.end();
  } finally {
    await reader.close();
  }
}

/** Null when the part was closed without a file. */
async function opened(part: OpenPart, signal: AbortSignal): Promise<PartReader | null> {
  for (;;) {
    signal.throwIfAborted();
    const isClosed = part.isClosed();
    const reader = await openPart(part.file);
    if (reader || isClosed) return reader;
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
}

async function isLate(reader: PartReader, waiting: readonly Cluster[]): Promise<boolean> {
  const [first, last] = [waiting[0], waiting.at(-1)];
  if (!first || !last || first === last) return false;
  const timeOf = async (cluster: Cluster) => reader.facts(await reader.read(cluster)).timeMs;
  return (await timeOf(last)) - (await timeOf(first)) > longestLagMs;
}

/** The clusters from the last one on that has a key frame; all when none has. */
async function fromNewestKey(reader: PartReader, clusters: readonly Cluster[]): Promise<Cluster[]> {
  for (let index = clusters.length - 1; index > 0; index--) {
    if (reader.facts(await reader.read(clusters[index] as Cluster)).hasKey) return clusters.slice(index);
  }
  return [...clusters];
}

function write(sink: Writable, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (sink.write(bytes)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const over = () => {
      sink.off('drain', taken);
      sink.off('close', gone);
      signal.removeEventListener('abort', aborted);
    };
    const taken = () => {
      over();
      resolve();
    };
    const gone = () => {
      over();
      reject(new Error('The program that was fed has ended.'));
    };
    const aborted = () => {
      over();
      reject(signal.reason);
    };
    sink.once('drain', taken);
    sink.once('close', gone);
    signal.addEventListener('abort', aborted, { once: true });
  });
}
