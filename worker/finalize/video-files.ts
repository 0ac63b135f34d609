/** What is delivered of one joined file: the video, or its sound alone, and a thumbnail. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { probe } from '../ffmpeg/probe.js';
import type { Deliverable } from '../parts/join.js';
import { LengthMismatchError } from './finalize-errors.js';
import type { FinalizeOptions } from './finalize-options.js';
import { describe, type Made } from './made.js';
import { keepOne } from './one-kind.js';
import { takeThumbnail } from './thumbnail.js';

const seamToleranceMs = 50;

/** Checks one joined file, leaves out what is not wanted, and takes its thumbnail. Throws LengthMismatchError, and ToolError. */
export async function finishVideo(
  options: FinalizeOptions,
  joined: Deliverable,
  base: string,
  work: string,
): Promise<Made[]> {
  const { tools, signal } = options;
  const facts = await probe(joined.file, { ffprobe: tools.ffprobe, signal });
  const lengthMs = facts.video?.durationMs ?? 0;
  const frameMs = facts.video && facts.video.fps > 0 ? 1000 / facts.video.fps : 0;
  if (Math.abs(lengthMs - joined.durationMs) > frameMs + seamToleranceMs * joined.parts.length) {
    throw new LengthMismatchError(`${base}.mp4`, lengthMs, joined.durationMs);
  }
  const { hasAudio = true, hasVideo = true } = options;
  if (!hasAudio || !hasVideo) {
    const both = joined.file;
    joined.file = await keepOne(both, hasVideo ? 'video' : 'audio', { tools, signal });
    await rm(both);
  }
  if (!hasVideo) {
    const about = { kind: 'VIDEO', name: `${base}.m4a`, mediaType: 'audio/mp4' } as const;
    const durationMs = Math.round(facts.durationMs);
    return [await describe(options, joined.file, { ...about, durationMs, audioCodec: facts.audio?.codec })];
  }
  const thumbnail = join(work, `${base}.jpg`);
  // About a tenth in: the first picture is often a page that is still empty.
  await takeThumbnail(joined.file, lengthMs / 10, thumbnail, { ...tools, signal });
  const poster = (await probe(thumbnail, { ffprobe: tools.ffprobe, signal })).video;
  return [
    await describe(options, joined.file, {
      kind: 'VIDEO',
      name: `${base}.mp4`,
      mediaType: 'video/mp4',
      durationMs: Math.round(facts.durationMs),
      width: facts.video?.width,
      height: facts.video?.height,
      videoCodec: facts.video?.codec,
      audioCodec: hasAudio ? facts.audio?.codec : undefined,
    }),
    await describe(options, thumbnail, {
      kind: 'THUMBNAIL',
      name: `${base}.jpg`,
      mediaType: 'image/jpeg',
      width: poster?.width,
      height: poster?.height,
    }),
  ];
}
