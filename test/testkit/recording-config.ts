/** What a recording is to record, for tests that start a recorder themselves. */
import type { RecordingConfig, RecordingInput } from '../../src/recordings/config.js';

export interface ConfigWish extends Partial<Omit<RecordingConfig, 'input' | 'output'>> {
  input: Partial<RecordingInput> & Pick<RecordingInput, 'type'>;
  output?: Partial<RecordingConfig['output']>;
}

/** Picture and sound copied into an mp4, unless told otherwise. */
export function recordingOf({ input, output, ...rest }: ConfigWish): RecordingConfig {
  return {
    input: {
      ...{ url: null, listenPort: null, multicastGroup: null, latencyMs: 120, passphrase: null, keyLength: 16 },
      ...{
        streamId: null,
        linkStats: true,
        streamKey: null,
        tracks: null,
        roomId: null,
        layout: null,
        identity: null,
      },
      ...{ connectTimeoutMs: 20_000, reconnectTimeoutMs: 20_000 },
      ...input,
    },
    video: { mode: 'COPY' },
    audio: { mode: 'COPY' },
    ...{ audioChange: null, videoChange: null, overlay: null, maxDurationMs: 600_000 },
    output: { format: 'MP4', splitMs: null, fillGaps: false, hasVideo: true, hasAudio: true, ...output },
    ...rest,
  };
}

/** Encoded as clients get it who say no more than that it is to be. */
export const usualVideo = {
  ...{ mode: 'TRANSCODE', bitrate: 1_000_000, preset: 'ultrafast', tune: null, crf: null, pixelFormat: null },
  ...{ encodingRate: null, filterFps: null, gop: null, forceKeyFrames: 2, width: null, height: null },
  ...{ slices: null, cores: null },
} as const satisfies RecordingConfig['video'];

export const usualAudio = { mode: 'TRANSCODE', codec: 'AAC', bitrate: 128_000, sampleRate: 44_100 } as const;
