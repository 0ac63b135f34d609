/** What a job is expected to take of its machine while it records; `npm run bench -- cost` measures whether it does. */
import type { VideoTreatment } from '../recordings/config.js';
import type { PageSource, PeopleSource, Source } from './capture.js';

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

interface Picture {
  width: number;
  height: number;
  fps: number;
}

const usualPicture: Picture = { width: 1280, height: 720, fps: 30 };
const pixelRate = ({ width, height, fps }: Picture): number => width * height * fps;

/** Processors that encode pictures of the usual rate as H.264. */
const usualEncoding = 0.5;
/** Above that rate they are encoded with less care, which takes half as much a picture. */
function encodingCores(picture: Picture): number {
  const share = pixelRate(picture) / pixelRate(usualPicture);
  return usualEncoding * (share <= 1 ? share : (1 + share) / 2);
}

/** The browser, its screen and its sound beside the encoder. */
const browser = { cores: 0.37, memoryBytes: 750 * megabyte };
/** What a page may draw with WebGL is drawn by processors. */
const webGLCores = 0.6;
/** A recorder host that only copies. */
const host = { cores: 0.02, memoryBytes: 60 * megabyte };
const encoderBytes = 150 * megabyte;
const person = { cores: 0.01, memoryBytes: 15 * megabyte };
/** Of a room of which it is not known who will come. */
const usualPeople = 4;

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
    width: width ?? ((height ?? usualPicture.height) * 16) / 9,
    height: height ?? ((width ?? usualPicture.width) * 9) / 16,
    fps: filterFps ?? usualPicture.fps,
  };
  return {
    pool: 'encode',
    cores: host.cores + encodingCores(picture),
    memoryBytes: host.memoryBytes + encoderBytes,
    displays: 0,
  };
}
