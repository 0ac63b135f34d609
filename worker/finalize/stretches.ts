/** When somebody was recorded, of people who were recorded one by one: what stands for the parts of their job. */

import { incarnationFolder, incarnationsIn } from '../host/folders.js';
import { readManifest } from '../parts/manifest.js';
import type { FinalizedPart } from './outcome.js';
import type { RecordedTrack } from './recorded.js';

/** What is known of the media of a track file: wall clock (epoch ms) of its first and last. */
export interface TrackSpan {
  track: RecordedTrack;
  fromMs: number;
  toMs: number;
}

/**
 * As the manifests say. One of which nobody said an end, or of which not all arrived here, lasts as long as there is media of it;
 * one without any was none.
 */
export function findStretches(jobFolder: string, spans: readonly TrackSpan[]): FinalizedPart[] {
  const found: FinalizedPart[] = [];
  for (const incarnation of incarnationsIn(jobFolder)) {
    const { entries } = readManifest(incarnationFolder(jobFolder, incarnation));
    const begun = entries.filter((entry) => entry.type === 'first-frame');
    for (const [index, { part: number, at }] of begun.entries()) {
      const ended = entries.find((entry) => entry.type === 'part-ended' && entry.part === number);
      const nextAt = begun[index + 1]?.at ?? Number.POSITIVE_INFINITY;
      const own = spans.filter(
        ({ track, fromMs, toMs }) => track.incarnation === incarnation && fromMs < nextAt && toMs > at,
      );
      const isWhole =
        ended?.type === 'part-ended' && !own.some(({ track }) => track.fetched && track.endCause === null);
      const bytes = own.reduce((sum, { track }) => sum + track.bytes, 0);
      const measuredMs = Math.max(0, ...own.map(({ toMs }) => Math.round(Math.min(toMs, nextAt) - at)));
      if (own.length === 0 && !isWhole) continue;
      const isLost = own.some(({ track }) => track.fetched);
      found.push({
        ...{ incarnation, number, startedAt: new Date(at), bytes },
        durationMs: isWhole ? ended.durationMs : measuredMs,
        endCause: isWhole ? ended.cause : isLost ? 'MACHINE_LOST' : 'HOST_DIED',
        ...(ended?.type === 'part-ended' ? { saidMs: ended.durationMs } : {}),
      });
    }
  }
  return found;
}
