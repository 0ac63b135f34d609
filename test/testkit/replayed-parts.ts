/** Parts that grow as recorders' do, but faster: what was written before is written again, a quarter of a second of media at a time. */
import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostFiles, type ManifestEntry, type PartEnd, partFile } from '../../src/jobs/capture.js';
import type { PartLine } from '../../worker/outlets/part-line.js';
import { element, elementsOf, ids, numberElement, readElement } from '../../worker/parts/ebml.js';
import { openPartFile } from '../../worker/parts/part-file.js';

/** Times as fast as it was recorded. */
const usualPace = 10;
const clusterMs = 250;

export const manifestOf = (folder: string, ...entries: ManifestEntry[]): Promise<void> =>
  appendFile(join(folder, hostFiles.manifest), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));

/** Writes a part into an incarnation's folder, with what a host says of it in its manifest. */
export async function replayPart(
  source: string,
  to: {
    folder: string;
    part: number;
    zeroAt: number;
    line?: PartLine;
    pace?: number;
    cause?: PartEnd;
    onWritten?: (mediaMs: number) => void;
  },
): Promise<void> {
  const { folder, part, zeroAt, line, pace = usualPace, cause = 'STOPPED' } = to;
  const bytes = await readFile(source);
  const media = await openPartFile(source);
  await media.look(true);
  await media.close();
  const file = join(folder, partFile(part));
  await writeFile(file, bytes.subarray(0, media.clusters[0]?.position ?? 0));
  line?.began(part, file);
  await manifestOf(folder, { type: 'first-frame', part, at: zeroAt });
  for (const { position, bytes: length, timeMs } of media.clusters) {
    await appendFile(file, bytes.subarray(position, position + length));
    to.onWritten?.(timeMs);
    await sleep(clusterMs / pace);
  }
  const durationMs = media.clusters.at(-1)?.timeMs ?? 0;
  await manifestOf(folder, {
    type: 'part-ended',
    part,
    at: zeroAt + durationMs,
    durationMs,
    bytes: bytes.length,
    cause,
  });
  line?.ended(part);
}

/** Appends what a part begins with to another, with times that are so much later. */
export async function appendLater(to: string, from: string, laterMs: number, lengthMs: number): Promise<void> {
  const [bytes, media] = [await readFile(from), await openPartFile(from)];
  await media.look(true);
  await media.close();
  const target = await openPartFile(to);
  await target.look(true);
  await target.close();
  const end = Math.max(...target.clusters.map(({ position, bytes: length }) => position + length));
  await truncate(to, end);
  for (const { position, bytes: length, timeMs } of media.clusters.filter((cluster) => cluster.timeMs < lengthMs)) {
    const cluster = bytes.subarray(position, position + length);
    const head = readElement(cluster, 0)?.start ?? 0;
    const blocks = [...elementsOf(cluster, head)].find(({ id }) => id === ids.simpleBlock)?.at ?? length;
    await appendFile(
      to,
      element(ids.cluster, numberElement(ids.timestamp, timeMs + laterMs), cluster.subarray(blocks)),
    );
  }
}
