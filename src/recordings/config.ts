/** What a recording is to record, and what is to be made of it: plain values, as they are kept in its row and in the source of each run. */
import type { Layout } from '../jobs/capture.js';

/** Where media comes from. Of those that end in `_SERVER`, and UDP, RTP and RIST, we are who is sent to. */
export const inputTypes = [
  'SRT_URL',
  'SRT_SERVER',
  'RTMP_URL',
  'RTMP_SERVER',
  'RTSP_URL',
  'RTSP_SERVER',
  'HLS',
  'DASH',
  'HTTP_FLV',
  'UDP',
  'RTP',
  'RIST',
  'ROOM',
  'PARTICIPANT',
] as const;
export type InputType = (typeof inputTypes)[number];

/** Inputs that others send to, at a port of ours. */
export const listeningTypes = [
  'SRT_SERVER',
  'RTMP_SERVER',
  'RTSP_SERVER',
  'UDP',
  'RTP',
  'RIST',
] as const satisfies readonly InputType[];
export const isListening = (type: InputType): boolean => (listeningTypes as readonly InputType[]).includes(type);

/** Each recording that is sent to has as many ports in a row: RTP takes two for each of two tracks. */
export const portsEach = 4;

/** One track of an RTP session, as its description says. */
export interface RtpTrack {
  kind: 'AUDIO' | 'VIDEO';
  payloadType: number;
  /** Encoding name as in RFC 3551 and its followers, such as `H264`, `opus`, `MP2T`. */
  encoding: string;
  /** Hertz. */
  clockRate: number;
  channels: number | null;
  /** Parameters of its `fmtp` line: names and values of letters, digits and few signs. */
  parameters: Record<string, string>;
}

export interface RecordingInput {
  type: InputType;
  /** For those that we call. With what opens them: to be shown only to who may change the recording. */
  url: string | null;
  /** For those that we are sent to: the first of `portsEach`. */
  listenPort: number | null;
  /** Multicast group that UDP and RTP are received from; null: what is sent to the port itself. */
  multicastGroup: string | null;
  /** SRT and RIST: how late packets that were sent again may come, milliseconds. */
  latencyMs: number;
  /** SRT: 10 to 79 characters; null: not encrypted. */
  passphrase: string | null;
  /** SRT: bytes of the key, where there is a passphrase. */
  keyLength: 16 | 24 | 32;
  /** SRT: what a caller asks a server for; null: nothing. */
  streamId: string | null;
  /** SRT: round trip, loss and buffers of the link are told. */
  linkStats: boolean;
  /** RTMP and RTSP servers: the last part of the address; who does not know it cannot send. */
  streamKey: string | null;
  /** RTP by session description; null: MPEG-TS. */
  tracks: RtpTrack[] | null;
  /** The room, or where the participant is. */
  roomId: string | null;
  /** How a room is arranged. */
  layout: Layout | null;
  /** Identity of the participant; null for a whole room. */
  identity: string | null;
  /** How long the source may take to send its first media, milliseconds. */
  connectTimeoutMs: number;
  /** How long a source that was lost is waited for, milliseconds. */
  reconnectTimeoutMs: number;
}

export const presets = [
  'ultrafast',
  'superfast',
  'veryfast',
  'faster',
  'fast',
  'medium',
  'slow',
  'slower',
  'veryslow',
] as const;
export const tunes = ['film', 'animation', 'grain', 'stillimage', 'fastdecode', 'zerolatency'] as const;
export const pixelFormats = ['yuv420p', 'yuv422p', 'yuv444p', 'yuv420p10le'] as const;

/** H.264, encoded while it is recorded. */
export interface VideoEncoding {
  /** Bits per second; the most of them with a `crf`. */
  bitrate: number;
  preset: (typeof presets)[number];
  tune: (typeof tunes)[number] | null;
  /** Constant rate factor, 0 to 51; null: constant bit rate. */
  crf: number | null;
  pixelFormat: (typeof pixelFormats)[number] | null;
  /** Frames per second that the encoder is told; null: as the source. */
  encodingRate: number | null;
  /** Frames per second that are made of the source's before it is encoded; null: as the source. */
  filterFps: number | null;
  /** Frames between key frames, at most; null: the encoder's own. */
  gop: number | null;
  /** Seconds between key frames that are forced; null: none is. */
  forceKeyFrames: number | null;
  /** Pixels, even; null: as the source, or in proportion to the other. */
  width: number | null;
  height: number | null;
  /** Slices of each picture; null: the encoder's own. */
  slices: number | null;
  /** Threads that encode; null: as many as the encoder likes. */
  cores: number | null;
}

export const audioCodecs = ['AAC', 'MP3', 'OPUS', 'AC3', 'PCM'] as const;
export type AudioCodec = (typeof audioCodecs)[number];

export interface AudioEncoding {
  codec: AudioCodec;
  /** Bits per second. */
  bitrate: number;
  /** Hertz. */
  sampleRate: number;
}

/** `COPY`: as it comes. `NONE`: left out. */
export type VideoTreatment = { mode: 'COPY' } | { mode: 'NONE' } | ({ mode: 'TRANSCODE' } & VideoEncoding);
export type AudioTreatment = { mode: 'COPY' } | { mode: 'NONE' } | ({ mode: 'TRANSCODE' } & AudioEncoding);

/** What is done to the sound before it is encoded. */
export interface AudioChange {
  /** Which track of the source, from 0. */
  track: number;
  /** Which channels, from 1, in this order; null: all. */
  channels: number[] | null;
  downmix: 'MONO' | 'STEREO' | null;
  /** Decibel, -60 to 60. */
  gain: number;
}

/** What is done to the picture before it is encoded, in this order. */
export interface VideoChange {
  deinterlace: boolean;
  /** Pixels of the source. */
  crop: { x: number; y: number; width: number; height: number } | null;
  /** Degrees, clockwise. */
  rotate: 0 | 90 | 180 | 270;
  /** Pixels, even. */
  scale: { width: number; height: number } | null;
  /** Frames per second; null: as they come. */
  fps: number | null;
}

/** Something that is put over the picture. */
export interface Overlay {
  /** Pixels from the top left corner of the picture that is encoded. */
  x: number;
  y: number;
  /** 0 to 1. */
  opacity: number;
  content:
    | { kind: 'TEXT'; text: string /** Pixels. */; size: number /** `rrggbb`. */; color: string }
    /** PNG or JPEG, base64. */
    | { kind: 'IMAGE'; image: string };
}

export const outputFormats = ['MP4', 'MKV', 'MPEGTS', 'FLV', 'AVI', 'MP3', 'M3U8'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** What is made of what was recorded. */
export interface RecordingOutput {
  format: OutputFormat;
  /** Length of each piece, milliseconds; null: one continuous file. */
  splitMs: number | null;
  /** Gaps become black and silence, so that the file is as long as the recording took; else they are cut out. */
  fillGaps: boolean;
  /** Whether files have a picture, and sound. */
  hasVideo: boolean;
  hasAudio: boolean;
}

/** Everything that can be set of a recording but its name and how long its files are kept. */
export interface RecordingConfig {
  input: RecordingInput;
  video: VideoTreatment;
  audio: AudioTreatment;
  audioChange: AudioChange | null;
  videoChange: VideoChange | null;
  overlay: Overlay | null;
  output: RecordingOutput;
  /** Wall time from the first frame until a run ends by itself, milliseconds. */
  maxDurationMs: number;
}
