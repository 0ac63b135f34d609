/** What a task is to record, as its client said it: what was left out has its default, and no credentials are in it. */
import type { OutputFormat } from '../recordings/config.js';

export const taskLayouts = ['FLAT', 'FREESTYLE'] as const;
export type TaskLayout = (typeof taskLayouts)[number];

export interface TaskVideo {
  /** Pixels, even. */
  width: number;
  height: number;
  /** Frames per second. */
  frameRate: number;
  /** Bits per second. */
  bitrate: number;
}

export interface TaskAudio {
  /** Hertz. */
  sampleRate: number;
  channels: number;
  /** Bits per second. */
  bitrate: number;
}

export interface TaskPayload {
  layout: TaskLayout;
  /** Name of the room; null for a page. */
  channel: string | null;
  /** Identities; null: everybody who publishes, and for a page. */
  users: string[] | null;
  /** Of the page; null for a room. */
  url: string | null;
  webGL: boolean;
  filenamePattern: string;
  format: OutputFormat;
  /** Null: as it is sent; a page is recorded with 1280 by 720 pixels at 30 frames per second. */
  video: TaskVideo | null;
  audio: TaskAudio | null;
  /** Seconds since the first frame after which it stops by itself. */
  maxDuration: number;
  /** Seconds after which it stops when nobody of them publishes any more; null for a page. */
  idleTimeout: number | null;
}
