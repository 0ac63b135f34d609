/** What is delivered of one file of a recording: the file as it was asked for, and a picture of it. */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { OutputFormat } from '../../src/recordings/config.js';
import { fileKind, formats } from '../../src/recordings/formats.js';
import type { DeliveredFile } from '../../src/services/delivered-files.js';
import { type MediaFacts, probe } from '../ffmpeg/probe.js';
import { mediaBeside } from '../parts/containers.js';
import type { Deliverable } from '../parts/join.js';
import { LengthMismatchError } from './finalize-errors.js';
import type { FinalizeOptions } from './finalize-options.js';
import { describe, type Made } from './made.js';
import { takeThumbnail } from './thumbnail.js';

const seamToleranceMs = 50;
/** Formats without times: what a source lost on its way, or a cut end keeps back, makes their files shorter. */
const timeless: readonly OutputFormat[] = ['AVI', 'MP3'];
// Pictures that a cut end keeps back are no matter for people.
const noticedMs = 1_000;
// Sound may go on behind the last picture of each part.
const tailMs = 1_000;
// A picture takes 0.2 s of a core, while the recording goes on.
const leastPicturedMs = 10_000;

type Options = Pick<FinalizeOptions, 'jobId' | 'tools' | 'signal'>;

/** Checks one joined file, and adds to its problem what should be known of its length. Throws LengthMismatchError, and ToolError. */
export async function finishRecording(
  options: Options,
  joined: Deliverable,
  base: string,
  work: string,
): Promise<Made[]> {
  const media = joined.format === 'M3U8' ? mediaBeside(joined.file) : joined.file;
  const facts = await probe(media, { ffprobe: options.tools.ffprobe, signal: options.signal });
  const differenceMs = facts.durationMs - joined.durationMs;
  const frameMs = facts.video && facts.video.fps > 0 ? 1_000 / facts.video.fps : 0;
  const toleranceMs = frameMs + seamToleranceMs * joined.parts.length;
  const isShort = differenceMs < -toleranceMs;
  if (isShort && timeless.includes(joined.format)) noteShort(joined, -differenceMs);
  else if (isShort || differenceMs > toleranceMs + tailMs)
    throw new LengthMismatchError(`${base}.${formats[joined.format].ending}`, facts.durationMs, joined.durationMs);
  if (joined.format === 'M3U8') await nameMedia(joined.file, media, mediaName(base));
  const files = [
    describe(options, joined.file, about(joined.format, base, facts)),
    ...(joined.format === 'M3U8' ? [describe(options, media, { ...segments(base), ...mediaOf(facts) })] : []),
    ...(facts.video ? [describeThumbnail(options, media, facts.durationMs, base, work)] : []),
  ];
  return Promise.all(files);
}

function noteShort(joined: Deliverable, byMs: number): void {
  if (byMs <= noticedMs) return;
  const lost = `It is ${Math.round(byMs)} ms shorter than what was recorded: ${formats[joined.format].name} has no place for what is missing in between.`;
  joined.problem = joined.problem ? `${joined.problem} ${lost}` : lost;
}

/** One piece of a split recording: with a picture of it, where it is worth that. */
export async function finishPiece(
  options: Options,
  { file, format, name: piece }: { file: string; format: OutputFormat; name: string },
  base: string,
  work: string,
): Promise<Made[]> {
  const facts = await probe(file, { ffprobe: options.tools.ffprobe, signal: options.signal });
  const hasThumbnail = facts.video && facts.durationMs >= leastPicturedMs;
  return Promise.all([
    describe(options, file, { ...about(format, base, facts), piece }),
    ...(hasThumbnail ? [describeThumbnail(options, file, facts.durationMs, base, work)] : []),
  ]);
}

type About = Omit<DeliveredFile, 'storageKey' | 'sizeBytes' | 'sha256'>;

function about(format: OutputFormat, base: string, facts: MediaFacts): About {
  const { ending, mediaType } = fileKind(format, facts.video !== null);
  const kind = format === 'M3U8' ? 'PLAYLIST' : 'VIDEO';
  return { kind, name: `${base}.${ending}`, mediaType, ...mediaOf(facts) };
}

const mediaOf = ({ durationMs, video, audio }: MediaFacts) => ({
  durationMs: Math.round(durationMs),
  width: video?.width,
  height: video?.height,
  videoCodec: video?.codec,
  audioCodec: audio?.codec,
});

/** Without spaces, which players would look for under other names. */
const mediaName = (base: string): string => `${base.replaceAll(' ', '-')}.mp4`;
const segments = (base: string) => ({ kind: 'SEGMENTS', name: mediaName(base), mediaType: 'video/mp4' }) as const;

/** By a name alone, so that the playlist plays wherever both lie, or are served, side by side. */
async function nameMedia(playlist: string, media: string, name: string): Promise<void> {
  const text = await readFile(playlist, 'utf8');
  await writeFile(playlist, text.replaceAll(basename(media), name));
}

async function describeThumbnail(
  { tools, ...options }: Options,
  media: string,
  durationMs: number,
  base: string,
  work: string,
): Promise<Made> {
  const thumbnail = join(work, `${base}.jpg`);
  // About a tenth in: the first picture is often black.
  await takeThumbnail(media, durationMs / 10, thumbnail, { ...tools, signal: options.signal });
  const picture = (await probe(thumbnail, { ffprobe: tools.ffprobe, signal: options.signal })).video;
  const { width, height } = picture ?? {};
  return describe(options, thumbnail, {
    kind: 'THUMBNAIL',
    name: `${base}.jpg`,
    mediaType: 'image/jpeg',
    width,
    height,
  });
}
