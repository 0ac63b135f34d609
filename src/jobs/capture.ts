/**
 * What a recorder host and the worker that watches it say to each other. The host writes `host.json`, `status.json` and
 * `manifest.jsonl` and answers on `host.sock`; the worker writes `spec.json` and `lease.json`. All in the incarnation's folder.
 */
import type { ProcessIdentity } from '../process-identity.js';
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

/** A page to capture with sound. */
export interface PageSource {
  kind: 'page';
  url: string;
  /** Pixels, even. */
  width: number;
  height: number;
  /** Frames per second. */
  fps: number;
  /** How long the page may take to become ready, each of two times. */
  loadTimeoutMs: number;
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

/** Everything a host needs; written before it is started, never changed. */
export interface HostSpec {
  jobId: string;
  incarnation: number;
  source: PageSource;
  egress: EgressPolicy;
  /** Wall time until the host stops by itself, counted from its first frame. */
  maxDurationMs: number;
  /** When the job ends by itself, epoch milliseconds, if an earlier host recorded its first frame; it then counts instead. */
  endsAt: number | null;
  /** With the source open, wait to be told to record: because the job was not begun yet, or because it is paused. */
  hold: 'standby' | 'paused' | null;
  /** Recording ends in good order before less than this is free on the disk; what the result will need is added to it. */
  diskReserveBytes: number;
  /** What earlier incarnations recorded of the job: its files will be made of that too. */
  recordedBefore: { bytes: number; parts: number };
  /** Without a renewed lease for this long the host closes its part and ends. */
  leaseTimeoutMs: number;
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
export interface HostCommand {
  command: (typeof hostCommands)[number];
}
export type HostReply = { ok: true } | { ok: false; error: string };

/** How a host ended. `suspended`: asked to close its part so that another host can go on later. */
export type HostOutcome =
  | { kind: 'stopped' | 'max-duration' | 'session-ended' | 'suspended' | 'lease-expired' }
  | { kind: 'failed'; failure: JobFailure };

export const hostPhases = ['STARTING', 'STANDBY', 'RECORDING', 'PAUSED', 'RECONNECTING', 'STOPPING', 'ENDED'] as const;
export type HostPhase = (typeof hostPhases)[number];

/** Totals over the parts of this incarnation; written twice a second by rename. */
export interface HostStatus {
  phase: HostPhase;
  /** Epoch milliseconds of this report. */
  at: number;
  stats: CaptureStats;
  /** Requests that the egress gate refused, newest last, at most 20. */
  refused: string[];
  /** What is wrong at the moment. */
  warnings: HostWarning[];
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
] as const;
export type PartEnd = (typeof partEnds)[number];

/** One line of `manifest.jsonl`, appended and fsynced by the host: the truth about which media exists. */
export type ManifestEntry =
  | { type: 'part-started'; part: number; at: number }
  /** `at`: wall clock (epoch ms) of media time zero of the part, read from the capture device's own clock. */
  | { type: 'first-frame'; part: number; at: number }
  | { type: 'part-ended'; part: number; at: number; durationMs: number; bytes: number; cause: PartEnd }
  | { type: 'ended'; at: number; outcome: HostOutcome };
