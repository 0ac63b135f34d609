/** What a job is expected to take of its machine while it records; `npm run bench -- cost` measures whether it does. */
import type { VideoTreatment } from '../recordings/config.js';
import { needsFastEncoding, type Picture, usualPeople, veryfastPixelRate } from './bitrate.js';
import type { PageSource, PeopleSource, Source } from './capture.js';
import { usualPage } from './page-picture.js';

/** What a job keeps busy on its machine: those that encode pictures take many times what those take that copy what comes. */
export const pools = ['encode', 'copy'] as const;
export type Pool = (typeof pools)[number];

export interface Cost {
  pool: Pool;
  /** Processors. */
  cores: number;
  memoryBytes: number;
  /** Screens, each with a sound sink of its own. */
  displays: number;
}

const megabyte = 1_048_576;

/** Processors that encode pictures of the usual size and rate as H.264. */
const usualEncoding = 0.5;
/** Of what is more than that a picture takes half as much: it is encoded with less care. */
function encodingCores(picture: Picture): number {
  const share = (picture.width * picture.height * picture.fps) / veryfastPixelRate;
  return usualEncoding * (needsFastEncoding(picture) ? (1 + share) / 2 : share);
}

/** The browser, its screen and its sound beside the encoder. */
const browser = { cores: 0.37, memoryBytes: 750 * megabyte };
/** What a page may draw with WebGL is drawn by processors. */
const webGLCores = 0.6;
/** A recorder host that only copies. */
const host = { cores: 0.02, memoryBytes: 60 * megabyte };
const encoderBytes = 150 * megabyte;
const person = { cores: 0.01, memoryBytes: 15 * megabyte };

/** What a slot of each pool is meant for: a page of the usual size, and a stream. */
export const coresOfSlot: Readonly<Record<Pool, number>> = {
  encode: browser.cores + usualEncoding,
  copy: host.cores,
};

export function costOf(source: Source): Cost {
  if (source.kind === 'page') return costOfPage(source);
  return source.kind === 'people' ? costOfPeople(source) : costOfStream(source.recording.video);
}

const costOfPage = (page: PageSource): Cost => ({
  pool: 'encode',
  cores: browser.cores + encodingCores(page) + (page.task?.webGL ? webGLCores : 0),
  memoryBytes: browser.memoryBytes + encoderBytes,
  displays: 1,
});

function costOfPeople({ users }: PeopleSource): Cost {
  const people = users?.length ?? usualPeople;
  return {
    pool: 'copy',
    cores: host.cores + people * person.cores,
    memoryBytes: host.memoryBytes + people * person.memoryBytes,
    displays: 0,
  };
}

function costOfStream(video: VideoTreatment): Cost {
  if (video.mode !== 'TRANSCODE') return { pool: 'copy', ...host, displays: 0 };
  const { width, height, filterFps } = video;
  // One of them may be left to the proportions of a source that nobody has seen yet.
  const picture = {
    width: width ?? ((height ?? usualPage.height) * 16) / 9,
    height: height ?? ((width ?? usualPage.width) * 9) / 16,
    fps: filterFps ?? usualPage.fps,
  };
  return {
    pool: 'encode',
    cores: host.cores + encodingCores(picture),
    memoryBytes: host.memoryBytes + encoderBytes,
    displays: 0,
  };
}
