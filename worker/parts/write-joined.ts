/** Writes one file of what is taken of parts, one after the other, with black and silence between them where that is wanted. */
import type { OutputFormat } from '../../src/recordings/config.js';
import type { MediaTools } from '../ffmpeg/run.js';
import type { Codecs } from './containers.js';
import { createEvenSound, type EvenSound } from './even-sound.js';
import { type Filler, makeFiller } from './filler.js';
import type { MeasuredPart } from './measure.js';
import { mux } from './mux.js';
import { carriesSets, setsInBand } from './parameter-sets.js';
import { streamHead, writeStretch } from './stretch.js';
import type { TakenPart } from './take.js';

export interface WriteOptions {
  format: OutputFormat;
  codecs: Codecs;
  output: string;
  workFolder: string;
  tools: MediaTools;
  fillGaps: boolean;
  signal?: AbortSignal;
  /** Media milliseconds written so far; called at least once a second. */
  onPosition: (ms: number) => void;
}

export interface Written {
  durationMs: number;
  /** What should be known of it. */
  problem?: string;
}

/** Shorter than a picture is shown: nobody sees it. */
const leastGapMs = 40;

interface Placed extends TakenPart {
  atMs: number;
  /** Black and silence before it. */
  gap: { fromMs: number; soundFromMs: number } | null;
}

/** Parts whose decoders must know the same, apart from what comes with the pictures. Throws ToolError. */
export async function writeJoined(group: readonly TakenPart[], options: WriteOptions): Promise<Written> {
  const placed = place(group, options.fillGaps);
  const last = placed.at(-1) as Placed;
  const durationMs = last.atMs + last.keptMs;
  const [only] = placed;
  const hasTimes = options.format !== 'AVI';
  const isPlain = hasTimes && placed.length === 1 && only?.part.isPlain === true && only.stretch === only.part.whole;
  const bytes = group.reduce((sum, { part }) => sum + part.bytes, 0);
  const muxing = { ...options, bytes, durationMs, ffmpeg: options.tools.ffmpeg };
  if (isPlain) {
    await mux({ ...muxing, source: { part: only.part.file, fromMs: only.stretch.fromMs, durationMs: only.keptMs } });
    return { durationMs };
  }
  const [first] = placed as [Placed];
  const hasGaps = placed.some(({ gap }) => gap !== null);
  const { workFolder, tools, signal } = options;
  const filler = hasGaps ? await makeFiller({ like: first.part, workFolder, tools, signal }) : null;
  const even = await createEvenSound(options.format, first.part, { workFolder, tools, signal });
  const given = { pictures: 0 };
  const { pictures } = await mux({ ...muxing, source: { stream: streamOf(placed, filler, even, given) } });
  if (pictures === given.pictures) return { durationMs };
  return { durationMs, problem: `Of ${given.pictures} pictures ${pictures} are in the file.` };
}

/** Each begins where the one before ends, or where the clock says when gaps are filled. */
function place(group: readonly TakenPart[], fillGaps: boolean): Placed[] {
  const placed: Placed[] = [];
  let endMs = 0;
  let soundEndMs = 0;
  const beganAt = group[0]?.part.startedAt ?? null;
  for (const each of group) {
    const { startedAt } = each.part;
    const byClock = fillGaps && beganAt !== null && startedAt !== null ? startedAt - beganAt : 0;
    const atMs = Math.max(endMs, byClock);
    const isGap = placed.length > 0 && atMs - endMs >= leastGapMs;
    placed.push({ ...each, atMs, gap: isGap ? { fromMs: endMs, soundFromMs: Math.max(endMs, soundEndMs) } : null });
    endMs = atMs + each.keptMs;
    soundEndMs = atMs + Math.min(each.part.soundEndMs, each.stretch.toMs) - each.stretch.fromMs;
  }
  return placed;
}

async function* streamOf(
  placed: readonly Placed[],
  filler: Filler | null,
  even: EvenSound,
  given: { pictures: number },
): AsyncGenerator<Buffer, void> {
  const { tracks, facts } = (placed[0] as Placed).part;
  const codec = facts.video?.codec;
  const setupOf = (part: MeasuredPart) => part.tracks.find(({ kind }) => kind === 'video')?.setup ?? null;
  const setups = new Set(placed.map(({ part }) => setupOf(part)?.toString('base64')));
  // One file has one head: what the parts do not have in common comes with each picture that may be begun with.
  const prefixOf = (part: MeasuredPart) => {
    const setup = setupOf(part);
    return setups.size > 1 && setup && carriesSets(codec) ? setsInBand(codec, setup) : null;
  };
  const onPictures = (count: number) => {
    given.pictures += count;
  };
  yield streamHead(
    tracks.map((track) => ({ track, setup: (track.kind === 'video' ? filler?.setup : null) ?? track.setup })),
  );
  for (const { part, stretch, atMs: placedAtMs, gap } of placed) {
    const atMs = placedAtMs + even.leadMs;
    if (gap && filler) {
      const sound = { fromMs: gap.soundFromMs + even.leadMs, toMs: atMs };
      const onSounds = even.heard;
      const fromMs = gap.fromMs + even.leadMs;
      yield* filler.write({ fromMs, toMs: atMs, sound, isPrefixed: setups.size > 1, onPictures, onSounds });
    }
    yield* even.until(atMs + part.soundFromMs - stretch.fromMs);
    const writing = { atMs, tracks, isFirst: true, prefix: prefixOf(part), onPictures, onSounds: even.heard };
    yield* writeStretch(part.media, stretch, writing);
  }
}
