/** Which codecs each format of files holds: asked before a recording starts, and again when its files are made. */
import type {
  AudioCodec,
  AudioTreatment,
  InputType,
  OutputFormat,
  RecordingOutput,
  RtpTrack,
  VideoTreatment,
} from './config.js';

/** As ffprobe names them. Those that no other format than MKV holds need not be here. */
export const videoCodecs = [
  'h264',
  'hevc',
  'av1',
  'vp8',
  'vp9',
  'mpeg4',
  'mpeg2video',
  'mpeg1video',
  'mjpeg',
  'flv1',
] as const;
export const audioCodecNames = [
  'aac',
  'mp3',
  'opus',
  'ac3',
  'eac3',
  'mp2',
  'dts',
  'flac',
  'vorbis',
  'pcm_s16le',
  'pcm_s24le',
  'pcm_f32le',
  'pcm_alaw',
  'pcm_mulaw',
  'pcm_s16be',
] as const;

export interface FormatFacts {
  /** As people call it. */
  name: string;
  /** Of file names, without a dot. */
  ending: string;
  mediaType: string;
  /** Of a file with sound alone; the same as of others where they are left out. */
  sound?: { ending: string; mediaType: string };
  /** Null: whatever was recorded. */
  video: readonly (typeof videoCodecs)[number][] | null;
  audio: readonly (typeof audioCodecNames)[number][] | null;
}

/**
 * What players take, of what ffmpeg writes. MPEG-TS is not asked by ffmpeg whether it holds a codec: it writes others as data
 * that nobody reads. AVI has no times of pictures: codecs with pictures that are not shown lose the sound in it.
 */
export const formats: Record<OutputFormat, FormatFacts> = {
  MP4: {
    ...{ name: 'MP4', ending: 'mp4', mediaType: 'video/mp4', sound: { ending: 'm4a', mediaType: 'audio/mp4' } },
    video: ['h264', 'hevc', 'av1', 'vp9', 'mpeg4', 'mpeg2video', 'mpeg1video', 'mjpeg'],
    audio: ['aac', 'mp3', 'opus', 'ac3', 'eac3', 'mp2', 'dts', 'flac'],
  },
  MKV: {
    ...{ name: 'Matroska', ending: 'mkv', mediaType: 'video/x-matroska' },
    sound: { ending: 'mkv', mediaType: 'audio/x-matroska' },
    ...{ video: null, audio: null },
  },
  MPEGTS: {
    ...{ name: 'MPEG-TS', ending: 'ts', mediaType: 'video/mp2t' },
    video: ['h264', 'hevc', 'mpeg4', 'mpeg2video', 'mpeg1video'],
    audio: ['aac', 'mp3', 'opus', 'ac3', 'eac3', 'mp2', 'dts'],
  },
  FLV: {
    ...{ name: 'FLV', ending: 'flv', mediaType: 'video/x-flv' },
    ...{ video: ['h264', 'flv1'], audio: ['aac', 'mp3'] },
  },
  AVI: {
    ...{ name: 'AVI', ending: 'avi', mediaType: 'video/x-msvideo' },
    video: ['h264', 'mpeg4', 'mpeg2video', 'mjpeg', 'flv1'],
    audio: ['aac', 'mp3', 'ac3', 'eac3', 'mp2', 'dts', 'pcm_s16le', 'pcm_s24le', 'pcm_f32le', 'pcm_alaw', 'pcm_mulaw'],
  },
  MP3: {
    ...{ name: 'MP3', ending: 'mp3', mediaType: 'audio/mpeg' },
    ...{ video: [], audio: ['mp3'] },
  },
  M3U8: {
    ...{ name: 'HLS', ending: 'm3u8' },
    mediaType: 'application/vnd.apple.mpegurl',
    ...{ video: ['h264', 'hevc'], audio: ['aac', 'mp3', 'ac3', 'eac3'] },
  },
};

/** What a file is called and sent as. */
export function fileKind(format: OutputFormat, hasPicture: boolean): { ending: string; mediaType: string } {
  const { ending, mediaType, sound } = formats[format];
  return (hasPicture ? null : sound) ?? { ending, mediaType };
}

/** Holds everything that parts hold: made where the format that was asked for does not. */
export const fallbackFormat = 'MKV' satisfies OutputFormat;

/** What a codec of an encoding is called by ffprobe. */
const encodedAs: Record<AudioCodec, string> = { AAC: 'aac', MP3: 'mp3', OPUS: 'opus', AC3: 'ac3', PCM: 'pcm_s16le' };

/** Hertz that each encoder takes. */
const sampleRates: Record<AudioCodec, readonly number[] | null> = {
  AAC: [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000],
  MP3: [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000],
  OPUS: [8_000, 12_000, 16_000, 24_000, 48_000],
  AC3: [32_000, 44_100, 48_000],
  PCM: null,
};
const flvMp3Rates = [11_025, 22_050, 44_100, 48_000];

/** By the names of RTP payload formats. */
const rtpCodecs: Record<string, string> = {
  H264: 'h264',
  H265: 'hevc',
  VP8: 'vp8',
  VP9: 'vp9',
  AV1: 'av1',
  MPV: 'mpeg2video',
  OPUS: 'opus',
  PCMU: 'pcm_mulaw',
  PCMA: 'pcm_alaw',
  MPA: 'mp2',
  AC3: 'ac3',
  'MPEG4-GENERIC': 'aac',
  'MP4A-LATM': 'aac',
  L16: 'pcm_s16be',
};

/** Whether a file of the format holds these codecs, as ffprobe names them; null: there is no such stream. */
export function fits(format: OutputFormat, videoCodec: string | null, audioCodec: string | null): boolean {
  const { video, audio } = formats[format];
  return holds(video, videoCodec) && holds(audio, audioCodec);
}

const holds = (codecs: readonly string[] | null, codec: string | null): boolean =>
  codec === null || codecs === null || codecs.includes(codec);

export interface FormatRequest extends Pick<RecordingOutput, 'format' | 'splitMs' | 'fillGaps'> {
  video: VideoTreatment;
  audio: AudioTreatment;
  inputType: InputType;
  /** Of an RTP session that was described. */
  tracks?: readonly RtpTrack[] | null;
}

export interface FormatIssue {
  /** As in `RecordingConfig`. */
  field: 'video' | 'audio' | 'output.format' | 'output.splitMs' | 'output.fillGaps';
  message: string;
}

/** What is known to be impossible before anything was received; empty where it may go well. */
export function checkFormat(request: FormatRequest): FormatIssue[] {
  const { format, video, audio, inputType } = request;
  const issues: FormatIssue[] = [];
  const refuse = (field: FormatIssue['field'], message: string) => void issues.push({ field, message });
  const { name, ...facts } = formats[format];

  if (video.mode === 'NONE' && audio.mode === 'NONE')
    refuse('audio', 'Neither picture nor sound would be recorded. Leave one of them in.');
  if (format === 'MP3' && video.mode !== 'NONE')
    refuse('video', 'An MP3 file has no picture. Leave the picture out, or use MP4 or MKV.');
  const picture = videoCodecOf(request);
  if (format !== 'MP3' && picture && !holds(facts.video, picture))
    refuse('video', unheld(name, picture, facts.video, 'H.264 is made by transcoding.'));
  const sound = audioCodecOf(request);
  if (sound && !holds(facts.audio, sound)) {
    const way = format === 'MP3' ? 'Have the sound encoded as MP3.' : 'Have the sound encoded as one of them.';
    refuse('audio', unheld(name, sound, facts.audio, inputType === 'ROOM' ? '' : way));
  }
  if (inputType === 'ROOM' && audio.mode === 'TRANSCODE' && audio.codec !== 'AAC')
    refuse('audio', `The sound of a room is recorded as AAC, not ${audio.codec}. Use AAC, or record its participants.`);
  else if (audio.mode === 'TRANSCODE') checkSampleRate(audio, format, refuse);
  if (request.splitMs !== null && format === 'M3U8')
    refuse('output.splitMs', 'An HLS recording is in pieces already. Use one continuous recording, or another format.');
  if (request.splitMs !== null && request.fillGaps)
    refuse('output.fillGaps', 'Pieces of a split recording are cut while it goes on, without what fills gaps between.');
  return issues;
}

function checkSampleRate(
  { codec, sampleRate }: Extract<AudioTreatment, { mode: 'TRANSCODE' }>,
  format: OutputFormat,
  refuse: (field: 'audio', message: string) => void,
): void {
  const rates = codec === 'MP3' && format === 'FLV' ? flvMp3Rates : sampleRates[codec];
  if (!rates || rates.includes(sampleRate)) return;
  const where = codec === 'MP3' && format === 'FLV' ? `${codec} in FLV` : codec;
  refuse('audio', `${where} has no sample rate of ${sampleRate} Hz. Use one of ${rates.join(', ')}.`);
}

function unheld(format: string, codec: string, codecs: readonly string[] | null, way: string): string {
  return `${format} does not hold ${codec}, but ${codecs?.join(', ')}. ${way} MKV holds every codec.`.replace(
    '  ',
    ' ',
  );
}

/** Null: none is recorded. Undefined: it depends on the source. */
function videoCodecOf({ video, inputType, tracks }: FormatRequest): string | null | undefined {
  if (video.mode === 'NONE') return null;
  // A room is captured as a page, which is encoded at any rate.
  if (video.mode === 'TRANSCODE' || inputType === 'ROOM') return 'h264';
  // What browsers send unless they are told otherwise.
  if (inputType === 'PARTICIPANT') return 'vp8';
  return rtpCodec(tracks, 'VIDEO');
}

function audioCodecOf({ audio, inputType, tracks }: FormatRequest): string | null | undefined {
  if (audio.mode === 'NONE') return null;
  if (inputType === 'ROOM') return 'aac';
  if (audio.mode === 'TRANSCODE') return encodedAs[audio.codec];
  if (inputType === 'PARTICIPANT') return 'opus';
  return rtpCodec(tracks, 'AUDIO');
}

const rtpCodec = (tracks: FormatRequest['tracks'], kind: RtpTrack['kind']): string | undefined =>
  rtpCodecs[tracks?.find((track) => track.kind === kind)?.encoding.toUpperCase() ?? ''];
