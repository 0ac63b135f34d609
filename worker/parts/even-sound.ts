/**
 * Sound for AVI, which has no times: blocks are heard one after the other from the beginning, and pictures are shown when a
 * decoder gives them. So silence stands wherever there is no sound, as long as it lasts.
 */
import type { OutputFormat } from '../../src/recordings/config.js';
import type { MediaTools } from '../ffmpeg/run.js';
import { type Filler, makeFiller, unfillable } from './filler.js';
import type { MeasuredPart } from './measure.js';

export interface EvenSound {
  /** By which everything is later, so that the decoder may hold pictures back. */
  leadMs: number;
  /** Silence up to a time in the stream, from where sound has come to. */
  until(ms: number): Generator<Buffer, void>;
  /** To be told of each block of sound. */
  heard(blocks: number): void;
}

/** As it is: the format has times, or silence cannot be made of this sound. */
const asItIs: EvenSound = { leadMs: 0, *until() {}, heard: () => {} };

export async function createEvenSound(
  format: OutputFormat,
  { facts, tracks }: Pick<MeasuredPart, 'facts' | 'tracks'>,
  work: { workFolder: string; tools: MediaTools; signal?: AbortSignal },
): Promise<EvenSound> {
  const { video, audio } = facts;
  const like = { facts: { video: null, audio }, tracks: tracks.filter(({ kind }) => kind === 'audio') };
  if (format !== 'AVI' || !video || !audio || unfillable(like) !== null) return asItIs;
  const filler: Filler = await makeFiller({ like, ...work });
  const { soundMs } = filler;
  if (soundMs === null) return asItIs;
  let blocks = 0;
  return {
    leadMs: video.heldBack && video.fps > 0 ? Math.round((video.heldBack * 1_000) / video.fps) : 0,
    *until(ms) {
      const missing = Math.max(0, Math.round(ms / soundMs) - blocks);
      yield* filler.silence(blocks * soundMs, missing);
      blocks += missing;
    },
    heard(count) {
      blocks += count;
    },
  };
}
