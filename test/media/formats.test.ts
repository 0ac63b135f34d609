/** Files hold what their table says, as real files show, and what is known to be impossible is refused before it is recorded. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outputFormats, type VideoTreatment } from '../../src/recordings/config.js';
import {
  audioCodecNames,
  checkFormat,
  type FormatRequest,
  fits,
  formats,
  videoCodecs,
} from '../../src/recordings/formats.js';
import { joinParts } from '../../worker/parts/join.js';
import { audioEncodings, videoEncodings } from '../testkit/encodings.js';
import { decodingProblems, mediaTools, smallCard, temporaryFolder, writeEncodedPart } from '../testkit/media-parts.js';
import { readFrames, readSound, readTone } from '../testkit/media-read.js';

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The two pictures at the end may be held back by an encoder that was cut off. */
const seconds = 2;
const frames = seconds * 30;

async function deliver(part: string, format: (typeof outputFormats)[number]) {
  const { deliverables } = await joinParts({
    parts: [{ file: part, incarnation: 1, zeroAt: null }],
    output: (_, made) => `${part}-${format}.${formats[made].ending}`,
    ...{ workFolder: folder, tools: mediaTools, format, allowSoundAlone: true },
  });
  const [made] = deliverables;
  if (!made) throw new Error(`nothing was made of ${part}`);
  return made;
}

describe('every codec comes back whole from every format that holds it', () => {
  test.each(videoCodecs)('%s, picture by picture', async (codec) => {
    const part = join(folder, `v-${codec}.mkv`);
    await writeEncodedPart(part, { seconds, video: videoEncodings[codec], audio: null });
    for (const format of outputFormats.filter((each) => fits(each, codec, null))) {
      const made = await deliver(part, format);
      expect(made, format).toMatchObject({ format });
      expect(made.problem, format).toBeUndefined();
      expect(await decodingProblems(made.file), format).toBe('');
      const numbers = (await readFrames(made.file, smallCard)).map(({ number }) => number);
      expect(numbers, format).toEqual(Array.from({ length: frames }, (_, index) => index));
    }
  });

  test.each(audioCodecNames)('%s, without a break', async (codec) => {
    const part = join(folder, `a-${codec}.mkv`);
    await writeEncodedPart(part, { seconds, video: null, audio: audioEncodings[codec] });
    for (const format of outputFormats.filter((each) => fits(each, null, codec))) {
      const made = await deliver(part, format);
      expect(made, format).toMatchObject({ format });
      expect(await decodingProblems(made.file), format).toBe('');
      const sound = await readSound(made.file);
      const { heardShare, jumpsMs } = readTone(sound);
      expect(jumpsMs, format).toEqual([]);
      expect((heardShare * sound.left.length) / sound.sampleRate, format).toBeGreaterThan(seconds - 0.15);
    }
  });
});

const copied: VideoTreatment & { mode: 'COPY' | 'NONE' } = { mode: 'COPY' };
const none = { mode: 'NONE' } as const;
const encoded: VideoTreatment = {
  ...{ mode: 'TRANSCODE', bitrate: 6_000_000, preset: 'ultrafast', tune: null, crf: null, pixelFormat: null },
  ...{ encodingRate: null, filterFps: null, gop: null, forceKeyFrames: 2, width: null, height: null },
  ...{ slices: null, cores: null },
};
const sound = (codec: 'AAC' | 'MP3' | 'OPUS' | 'AC3' | 'PCM', sampleRate = 48_000) =>
  ({ mode: 'TRANSCODE', codec, bitrate: 128_000, sampleRate }) as const;

const issuesOf = (request: Partial<FormatRequest>) =>
  checkFormat({
    ...{ format: 'MP4', video: copied, audio: sound('AAC'), inputType: 'SRT_URL', splitMs: null, fillGaps: false },
    ...request,
  }).map(({ field }) => field);

describe('before it is recorded', () => {
  test('what may go well is let be: of a source that is copied nothing is known', () => {
    for (const format of ['MP4', 'MKV', 'MPEGTS', 'FLV', 'AVI', 'M3U8'] as const) {
      expect(issuesOf({ format })).toEqual([]);
      expect(issuesOf({ format, audio: copied })).toEqual([]);
      expect(issuesOf({ format, video: encoded, audio: none })).toEqual([]);
      expect(issuesOf({ format, inputType: 'ROOM' })).toEqual([]);
    }
    expect(issuesOf({ format: 'MP3', video: none, audio: sound('MP3') })).toEqual([]);
    expect(issuesOf({ splitMs: 60_000 })).toEqual([]);
    expect(issuesOf({ fillGaps: true, video: encoded })).toEqual([]);
  });

  test.each<[string, Partial<FormatRequest>, string[]]>([
    ['nothing at all', { video: none, audio: none }, ['audio']],
    ['a picture in MP3', { format: 'MP3', audio: sound('MP3') }, ['video']],
    ['AAC in MP3', { format: 'MP3', video: none }, ['audio']],
    ['a room in MP3', { format: 'MP3', video: none, audio: copied, inputType: 'ROOM' }, ['audio']],
    ['PCM in MP4', { audio: sound('PCM') }, ['audio']],
    ['PCM in MPEG-TS', { format: 'MPEGTS', audio: sound('PCM') }, ['audio']],
    ['Opus in FLV', { format: 'FLV', audio: sound('OPUS') }, ['audio']],
    ['AC-3 in FLV', { format: 'FLV', audio: sound('AC3') }, ['audio']],
    ['Opus in HLS', { format: 'M3U8', audio: sound('OPUS') }, ['audio']],
    ['Opus in AVI', { format: 'AVI', audio: sound('OPUS') }, ['audio']],
    ['what a browser sends in MP4', { inputType: 'PARTICIPANT', audio: copied }, ['video']],
    ['what a browser sends in FLV', { format: 'FLV', inputType: 'PARTICIPANT', audio: copied }, ['video', 'audio']],
    ['VP8 of an RTP session in MPEG-TS', { format: 'MPEGTS', inputType: 'RTP', tracks: [vp8Track()] }, ['video']],
    ['another codec than AAC of a room', { format: 'MKV', inputType: 'ROOM', audio: sound('OPUS') }, ['audio']],
    ['a rate that the encoder does not know', { audio: sound('OPUS', 44_100) }, ['audio']],
    ['MP3 of 32 kHz in FLV', { format: 'FLV', audio: sound('MP3', 32_000) }, ['audio']],
    ['pieces of HLS', { format: 'M3U8', splitMs: 60_000 }, ['output.splitMs']],
    ['pieces with gaps filled', { splitMs: 60_000, fillGaps: true }, ['output.fillGaps']],
  ])('%s is refused, with what to do instead', (_, request, fields) => {
    expect(issuesOf(request)).toEqual(fields);
  });

  test('what a browser sends is taken where it fits', () => {
    expect(issuesOf({ format: 'MKV', inputType: 'PARTICIPANT', audio: copied })).toEqual([]);
    expect(issuesOf({ inputType: 'PARTICIPANT', video: encoded, audio: copied })).toEqual([]);
  });
});

function vp8Track() {
  const parameters = {};
  return { kind: 'VIDEO', payloadType: 96, encoding: 'VP8', clockRate: 90_000, channels: null, parameters } as const;
}

test('the documented table is the one that is gone by', async () => {
  const page = await readFile(new URL('../../docs/formats.md', import.meta.url), 'utf8');
  const [, written] = /<!-- table: begin[^\n]*\n([\s\S]*?)<!-- table: end -->/.exec(page) ?? [];
  expect(written?.trim()).toBe(formatTable());
});

function formatTable(): string {
  const listed = (codecs: readonly string[] | null) =>
    codecs === null ? 'every codec' : codecs.length === 0 ? 'none' : codecs.join(', ');
  return [
    '| `format` | file | media type | picture | sound |',
    '|---|---|---|---|---|',
    ...outputFormats.map((format) => {
      const { name, ending, mediaType, video, audio } = formats[format];
      return `| \`${format}\` | ${name}, \`.${ending}\` | \`${mediaType}\` | ${listed(video)} | ${listed(audio)} |`;
    }),
  ].join('\n');
}
