/** What a recording is where nobody says otherwise. */
import type { AudioCodec, AudioEncoding, InputType, OutputFormat, VideoEncoding } from './config.js';
import { isListening } from './config.js';

export const usualVideo: VideoEncoding = {
  bitrate: 6_000_000,
  preset: 'ultrafast',
  tune: null,
  crf: null,
  pixelFormat: null,
  encodingRate: null,
  filterFps: null,
  gop: null,
  forceKeyFrames: 2,
  width: null,
  height: null,
  slices: null,
  cores: null,
};

/** The least and most bits per second of each codec; of PCM, which has as many as it needs, they say nothing. */
export const audioRates: Record<AudioCodec, readonly [number, number]> = {
  AAC: [8_000, 512_000],
  MP3: [8_000, 320_000],
  OPUS: [8_000, 510_000],
  AC3: [32_000, 640_000],
  PCM: [8_000, 640_000],
};

export function usualAudio(format: OutputFormat): AudioEncoding {
  return { codec: format === 'MP3' ? 'MP3' : 'AAC', bitrate: 128_000, sampleRate: 44_100 };
}
/** Opus knows no 44,100. */
export const usualSampleRate = (codec: AudioCodec): number => (codec === 'OPUS' ? 48_000 : 44_100);

/** Participants send codecs that only Matroska takes as they are. */
export const usualFormat = (type: InputType): OutputFormat => (type === 'PARTICIPANT' ? 'MKV' : 'MP4');

/** Whoever is called answers soon or not at all; whoever sends to us, or comes into a room, does so when they do. */
export const usualConnectTimeoutMs = (type: InputType): number =>
  isListening(type) || type === 'PARTICIPANT' ? 86_400_000 : 30_000;
export const usualReconnectTimeoutMs = 3_600_000;
/** SRT's own. */
export const usualLatencyMs = 120;
export const usualSplitMs = 600_000;
export const usualMaxDurationMs = 604_800_000;
