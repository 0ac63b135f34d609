/**
 * What a recorder host and the worker that watches it say to each other. The host writes `host.json`, `status.json` and
 * `manifest.jsonl` and answers on `host.sock`; the worker writes `spec.json` and `lease.json`. All in the incarnation's folder.
 */
import type { ProcessIdentity } from '../process-identity.js';
import type { AudioEncoding, RecordingConfig, RecordingOutput } from '../recordings/config.js';
import type { FileNaming } from '../tasks/file-names.js';
import type { JobFailure } from './reasons.js';
import type { WarningCode } from './warnings.js';

/** File names in `jobs/<jobId>/i<incarnation>/`. */
export const hostFiles = {
  spec: 'spec.json',
  identity: 'host.json',
  status: 'status.json',
  manifest: 'manifest.jsonl',
  lease: 'lease.json',
  log: 'host.log',
  screenshot: 'page.png',
  console: 'console.log',
} as const;

export const partFile = (part: number): string => `p${part}.mkv`;
/** What `partFile` gives; the first group is the part's number. */
export const partFilePattern = /^p(\d+)\.mkv$/;

/** How a viewer page arranges participants. */
export const layouts = ['grid', 'speaker', 'side-by-side', 'single'] as const;
export type Layout = (typeof layouts)[number];

/** A room that is captured as our own viewer page shows it, and whose participants may be recorded one by one. */
export interface RoomSource {
  roomId: string;
  layout: Layout;
}

export interface PictureEncoding {
  /** Constant rate factor of H.264, 0 to 51. */
  quality: number;
  /** Bits per second, at most. */
  bitrate: number;
  /** Seconds between key frames. */
  gop: number;
  profile: 'baseline' | 'main' | 'high';
}

/** A page to capture with sound. */
export interface PageSource {
  kind: 'page';
  /** Null in a job's row where it is the viewer page of `room`: that has a token in it, and is made when a host starts. */
  url: string | null;
  room?: RoomSource;
  /** Each participant of the room, or media element of the page, is recorded to a file of its own too. */
  individual?: boolean;
  /** False: no sound, or no picture, is kept. Both are captured when left out. */
  hasAudio?: boolean;
  hasVideo?: boolean;
  /** How the picture is encoded, where a room says so for its recordings; as good as the machine can when left out. */
  encoding?: PictureEncoding;
  /** False: what is recorded is only sent on, and no file is made of it. */
  keep?: boolean;
  /** Pixels, even. */
  width: number;
  height: number;
  /** Frames per second. */
  fps: number;
  /** How long the page may take to become ready, each of two times. */
  loadTimeoutMs: number;
  /** Where it is a run of a recording: of a whole room. */
  recording?: RecordingConfig;
  /** Where it is a task. */
  task?: PageTask;
}

/** What a task is to have of a page. */
export interface PageTask {
  output: RecordingOutput;
  naming: FileNaming;
  /** How the sound is encoded, always as AAC; the recorder's own way when null. */
  sound: SoundEncoding | null;
  /** Whether the page may draw with WebGL, which a machine without a graphics card does in software. */
  webGL: boolean;
}

export interface SoundEncoding extends Pick<AudioEncoding, 'bitrate' | 'sampleRate'> {
  channels: number;
}

/** How the pictures of people are encoded: into the size, with black beside what has other proportions. */
export interface PeopleEncoding {
  width: number;
  height: number;
  /** Frames per second. */
  fps: number;
  /** Bits per second. */
  bitrate: number;
}

/** A live input that is recorded as it comes, or encoded anew: a run of a recording. */
export interface StreamSource {
  kind: 'stream';
  recording: RecordingConfig;
}

/** People of a room, each recorded to files of their own as they send: a task. */
export interface PeopleSource {
  kind: 'people';
  roomId: string;
  /** Identities; null: everybody who publishes. */
  users: string[] | null;
  /** The identity that the recorder joins with, unseen; null: one of its own. */
  joinAs: string | null;
  output: RecordingOutput;
  naming: FileNaming;
  /** How their files are encoded when all is recorded; null: as they sent it, where the format holds that. */
  picture: PeopleEncoding | null;
  sound: SoundEncoding | null;
  /** How long they may all be away before the first comes, and after the last has left, milliseconds. */
  connectTimeoutMs: number;
  idleTimeoutMs: number;
}

export type Source = PageSource | StreamSource | PeopleSource;

/** What is made of what is captured; null: what archives are made into. */
export function outputOf(source: Source): RecordingOutput | null {
  switch (source.kind) {
    case 'stream':
      return source.recording.output;
    case 'people':
      return source.output;
    case 'page':
      return source.recording?.output ?? source.task?.output ?? null;
  }
}

/** What the host's egress proxy lets the page reach. */
export interface EgressPolicy {
  /** Private ranges (CIDR) that may be reached. */
  allowedNetworks: string[];
  /** `host:port` pairs that may be reached whatever their address: our own pages, when one of them is recorded. */
  allowedHosts: string[];
  /** Loopback ports never reached: our own database and engine. */
  deniedPorts: number[];
}

/** A page whose address is known. */
export type OpenPage = PageSource & { url: string };

/** What a host can begin to capture. */
export type OpenSource = OpenPage | StreamSource | PeopleSource;

/** A far server that what is captured is sent to as it is. */
export interface TargetSpec {
  id: string;
  /** `rtmp:` or `rtmps:`, with its stream key. */
  url: string;
  /** Bytes that earlier hosts of the job sent there. */
  sentBefore?: number;
}

export interface TargetStatus {
  id: string;
  state: 'CONNECTING' | 'LIVE' | 'RECONNECTING' | 'ENDED' | 'FAILED';
  /** Epoch milliseconds since when it is in that state. */
  since: number;
  /** Why, in words; null where there is nothing to say. Never has the stream key in it. */
  message: string | null;
  bytesSent: number;
}

/** Back into a room, as a participant others see. */
export interface PublicationSpec {
  roomId: string;
  mediaId: string;
  name: string;
}

/** What may change of a capture while it goes on. */
export interface Arrangement {
  layout: Layout | null;
  targets: TargetSpec[];
  /** Of a stream: what is recorded from now on; the next part begins with each change. Null for a page. */
  recording?: RecordingConfig | null;
  /** Somebody looks at what is recorded while it goes on. */
  preview?: boolean;
}

/** Everything a host needs; written before it is started, never changed. */
export interface HostSpec {
  jobId: string;
  incarnation: number;
  source: OpenSource;
  /** As it is when the host starts; later ones come as commands. */
  arrangement: Arrangement;
  /** Set for a render. */
  publication: PublicationSpec | null;
  /** Whether what is captured can be played while it goes on. */
  live: boolean;
  egress: EgressPolicy;
  /** Wall time until the host stops by itself, counted from its first frame. */
  maxDurationMs: number;
  /** When the job ends by itself, epoch milliseconds, if an earlier host recorded its first frame; it then counts instead. */
  endsAt: number | null;
  /** With the source open, wait to be told to record: because the job was not begun yet, or because it is paused. */
  hold: 'standby' | 'paused' | null;
  /** Recording ends in good order before less than this is free on the disk; what the result will need is added to it. */
  diskReserveBytes: number;
  /** Media of the page may go past the egress proxy, by UDP: only for our own viewer page, which others cannot change. */
  directMedia: boolean;
  /** What earlier incarnations recorded of the job: its files will be made of that too. */
  recordedBefore: { bytes: number; parts: number };
  /** Without a renewed lease for this long the host closes its part and ends. */
  leaseTimeoutMs: number;
  /** Address of this machine at which inputs are listened for. */
  listenAddress: string;
  tools: { ffmpeg: string; ffprobe: string; chromium: string; browserUser: string };
}

/** Who a host is: pid and start time together name one process for ever. */
export interface HostIdentity extends ProcessIdentity {
  /** Where the host listens for commands: a short path, since socket paths are limited to 107 bytes. */
  socket: string;
}

export interface HostLease {
  /** Base64 of the Temporal task token of the attempt that watches. */
  taskToken: string;
  attempt: number;
  /** Epoch milliseconds. */
  renewedAt: number;
}

/**
 * `record`: begin, or go on after a pause. `pause`: close the part and wait, with the source kept open. Each is accepted
 * at any time and changes nothing when the host does that already.
 */
export const hostCommands = ['stop', 'suspend', 'pause', 'record'] as const;
export type HostCommand =
  | { command: (typeof hostCommands)[number] }
  /** All of it, each time: what is missing is taken away. */
  | { command: 'arrange'; arrangement: Arrangement };
/** The spec of a host that captures a page. */
export type PageSpec = HostSpec & { source: OpenPage };
/** The spec of a host that records a stream. */
export type StreamSpec = HostSpec & { source: StreamSource };
/** The spec of a host that records people of a room one by one. */
export type PeopleSpec = HostSpec & { source: PeopleSource };

export type HostReply = { ok: true } | { ok: false; error: string };

/** How a host ended. `suspended`: asked to close its part so that another host can go on later. */
export type HostOutcome =
  | { kind: 'stopped' | 'max-duration' | 'session-ended' | 'source-ended' | 'suspended' | 'lease-expired' }
  | { kind: 'failed'; failure: JobFailure };

export const hostPhases = ['STARTING', 'STANDBY', 'RECORDING', 'PAUSED', 'RECONNECTING', 'STOPPING', 'ENDED'] as const;
export type HostPhase = (typeof hostPhases)[number];

/** Totals over the parts of this incarnation; written once or twice a second, in place. */
export interface HostStatus {
  phase: HostPhase;
  /** Epoch milliseconds of this report. */
  at: number;
  stats: CaptureStats;
  /** Requests that the egress gate refused, newest last, at most 20. */
  refused: string[];
  /** What is wrong at the moment. */
  warnings: HostWarning[];
  targets: TargetStatus[];
}

export interface HostWarning {
  code: WarningCode;
  /** Epoch milliseconds when it began to be so. */
  since: number;
  message: string;
}

export interface CaptureStats {
  frames: number;
  /** Frames per second over the last seconds. */
  fps: number;
  /** Bits per second over the last seconds. */
  bitrate: number;
  bytes: number;
  /** Media time recorded, all parts of this incarnation together. */
  positionMs: number;
  dropped: number;
  duplicated: number;
  /** Recording speed relative to real time; below 0.95 the machine is overloaded. */
  speed: number;
  /** Animation frames the page itself has drawn: stands still when the page hangs. */
  pageFrames: number;
  /** Of an SRT input whose link is measured; left out elsewhere. */
  link?: LinkStats;
}

/** The SRT link that media comes over. Counts are totals of this incarnation. */
export interface LinkStats {
  /** Bits per second that arrive. */
  bitrate: number;
  /** Round trip, milliseconds. */
  rttMs: number;
  /** Media that waits to be handed on, milliseconds: what is left of it for packets that are late. */
  bufferMs: number;
  packetsReceived: number;
  packetsLost: number;
  /** Sent again, and received. */
  packetsRetransmitted: number;
  /** Came too late, and are missing in the recording. */
  packetsDropped: number;
  /** What the link is thought to carry, bits per second. */
  capacity: number;
  /** Connections that media comes over: 0 or 1. */
  activeStreams: number;
}

export const noStats: CaptureStats = {
  frames: 0,
  fps: 0,
  bitrate: 0,
  bytes: 0,
  positionMs: 0,
  dropped: 0,
  duplicated: 0,
  speed: 0,
  pageFrames: 0,
};

/** Why a part ended. After all but the first the next part begins behind a gap; after all but the first three it was a fault. */
export const partEnds = [
  'STOPPED',
  'PAUSED',
  'SUSPENDED',
  'ENCODER_DIED',
  'ENCODER_STALLED',
  'BROWSER_DIED',
  'BROWSER_HUNG',
  'DISPLAY_DIED',
  'DISPLAY_HUNG',
  'SOUND_DIED',
  'SOUND_HUNG',
  'HOST_DIED',
  'MACHINE_LOST',
  'SOURCE_LOST',
  'SOURCE_STALLED',
  'SOURCE_CHANGED',
  'TIME_JUMPED',
  'RECONFIGURED',
] as const;
export type PartEnd = (typeof partEnds)[number];

/** File names of recorded tracks, beside the parts: `t<n>.mkv`. */
export const trackFile = (track: number): string => `t${track}.mkv`;
/** What `trackFile` gives; the first group is the track file's number. */
export const trackFilePattern = /^t(\d+)\.mkv$/;

/** Who or what a track file is of: one publication of a participant, or a media element of a page. */
export interface TrackOrigin {
  /** Media id of the participant, or the element's name in the page. */
  id: string;
  /** The same each time they come back. */
  identity: string;
  name: string;
  tracks: { kind: 'AUDIO' | 'VIDEO'; codec: string; source: string | null }[];
}

/** One line of `manifest.jsonl`, appended and fsynced by the host: the truth about which media exists. */
export type ManifestEntry =
  | { type: 'part-started'; part: number; at: number }
  /** `at`: wall clock (epoch ms) of media time zero of the part, read from the capture device's own clock. */
  | { type: 'first-frame'; part: number; at: number }
  | { type: 'part-ended'; part: number; at: number; durationMs: number; bytes: number; cause: PartEnd }
  | PieceEntry
  | { type: 'track-started'; track: number; at: number; origin: TrackOrigin }
  /** `at`: wall clock (epoch ms) of media time zero of the file. */
  | { type: 'track-first-media'; track: number; at: number }
  | { type: 'track-ended'; track: number; at: number; bytes: number; cause: TrackEnd }
  /** Something that cannot be recorded to a file of its own; `reason` in words. */
  | { type: 'track-refused'; at: number; origin: TrackOrigin; reason: string }
  | { type: 'ended'; at: number; outcome: HostOutcome };

/** A piece of a split recording was cut from a part: a file in `pieces/`. */
export interface PieceEntry {
  type: 'piece';
  part: number;
  /** Counts up from 0 in each part. */
  piece: number;
  file: string;
  /** Wall clock (epoch ms) of its first media. */
  at: number;
  /** Media time of the part at which it begins, milliseconds; the next one begins where it ends. */
  fromMs: number;
  durationMs: number;
  bytes: number;
}

/** Folder of an incarnation that pieces lie in. */
export const piecesFolder = 'pieces';

/** Why a track file ended. */
export const trackEnds = ['LEFT', 'CHANGED', 'STOPPED', 'PAUSED', 'WRITER_DIED', 'MEDIA_SERVER_LOST'] as const;
export type TrackEnd = (typeof trackEnds)[number];
