/** What clients may say of a task, and what is made of it: each thing that is wrong is named by its field. */
import * as z from 'zod';
import { identityRule } from '../auth/room-tokens.js';
import { outputFormats } from '../recordings/config.js';
import { formats } from '../recordings/formats.js';
import { patternProblem, usualPattern } from '../tasks/file-names.js';
import { type TaskPayload, taskLayouts } from '../tasks/payload.js';
import { ValidationError } from './errors.js';
import { requestIdRule } from './requests.js';
import { pageUrl, parsed, priorityRule, side, wholeSeconds } from './sources.js';

const mostUsers = 32;
const mostPixels = 1_920 * 1_080;
const sampleRates = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

const whole = (least: number, most: number, unit: string) => {
  const range = `from ${least.toLocaleString('en')} to ${most.toLocaleString('en')}`;
  return z
    .int(`must be a whole number of ${unit} ${range}`)
    .min(least, `must be ${range}`)
    .max(most, `must be ${range}`);
};
const wholeOr = (usual: number, ...rule: Parameters<typeof whole>) =>
  whole(...rule)
    .nullish()
    .transform((given) => given ?? usual);

const videoRules = z
  .object({
    width: side(240, 1_920, 1_280),
    height: side(240, 1_920, 720),
    frameRate: wholeOr(30, 1, 60, 'frames per second'),
    bitrate: wholeOr(1_000_000, 50_000, 20_000_000, 'bits per second'),
  })
  .refine(({ width, height }) => width * height <= mostPixels, 'has more pixels than 1920 by 1080');

const audioRules = z.object({
  sampleRate: wholeOr(48_000, 8_000, 48_000, 'hertz').refine(
    (rate) => sampleRates.includes(rate),
    `must be one of ${sampleRates.join(', ')}`,
  ),
  channels: wholeOr(2, 1, 2, 'channels'),
  bitrate: wholeOr(128_000, 8_000, 320_000, 'bits per second'),
});

const payloadRules = z.object({
  layout: z.enum(taskLayouts).nullish(),
  channel: z.string().nullish(),
  accessToken: z.string().max(4_096, 'is longer than 4,096 characters').nullish(),
  workerUid: whole(1, 999_999_999, 'ids').nullish(),
  users: z
    .array(identityRule)
    .min(1, 'is empty: leave it out to record everybody')
    .max(mostUsers, `has more than ${mostUsers}`)
    .nullish(),
  url: pageUrl.nullish(),
  webGL: z.boolean().nullish(),
  filenamePattern: z.string().nullish(),
  format: z.enum(outputFormats).nullish(),
  video: videoRules.nullish(),
  audio: audioRules.nullish(),
  maxDuration: wholeSeconds(1, 86_400).nullish(),
  idleTimeout: wholeSeconds(5, 86_400).nullish(),
});

const startRules = z.object({
  requestId: requestIdRule,
  callbackUrl: z.string().nullish(),
  priority: priorityRule,
  payload: payloadRules,
});
export type StartTask = z.input<typeof startRules>;

export interface TaskRequest {
  requestId: string;
  callbackUrl: string | null;
  priority: number;
  payload: TaskPayload;
  /** Opens the room: to be checked, and then forgotten. */
  accessToken: string | null;
  workerUid: number | null;
}

type GivenPayload = z.output<typeof payloadRules>;

const ofRooms = [
  'channel',
  'accessToken',
  'workerUid',
  'users',
  'idleTimeout',
] as const satisfies (keyof GivenPayload)[];
const ofPages = ['url', 'webGL'] as const satisfies (keyof GivenPayload)[];
/** As long as it takes to come back from a break in the connection. */
const usualIdleSeconds = 60;

/** Throws ValidationError that names each field. */
export function taskRequestFrom(input: StartTask): TaskRequest {
  const { requestId, callbackUrl, priority, payload: given } = parsed(startRules, input);
  const layout = given.layout ?? 'FLAT';
  const isOfRoom = layout === 'FLAT';
  const format = given.format ?? 'M3U8';
  const filenamePattern = given.filenamePattern ?? usualPattern[layout];
  const issues = [...misplaced(given, isOfRoom), ...unmakeable(given, isOfRoom)];
  const problem = patternProblem(filenamePattern, { isOfRoom });
  if (problem) issues.push({ field: 'payload.filenamePattern', message: problem });
  if (issues.length > 0) throw new ValidationError(issues);
  return {
    ...{ requestId, priority, callbackUrl: callbackUrl ?? null },
    ...{ accessToken: given.accessToken ?? null, workerUid: given.workerUid ?? null },
    payload: {
      ...{ layout, filenamePattern, format },
      channel: given.channel ?? null,
      users: given.users ? [...new Set(given.users)] : null,
      url: given.url ?? null,
      webGL: given.webGL ?? false,
      video: given.video ?? null,
      audio: given.audio ?? null,
      maxDuration: given.maxDuration ?? 86_400,
      idleTimeout: isOfRoom ? (given.idleTimeout ?? usualIdleSeconds) : null,
    },
  };
}

interface Issue {
  field: string;
  message: string;
}

function misplaced(given: GivenPayload, isOfRoom: boolean): Issue[] {
  const [foreign, other] = isOfRoom ? [ofPages, 'FREESTYLE'] : [ofRooms, 'FLAT'];
  const issues = foreign
    .filter((name) => given[name] != null && given[name] !== false)
    .map((name) => ({ field: `payload.${name}`, message: `is for the layout ${other}: leave it out` }));
  if (isOfRoom && given.channel == null)
    issues.push({ field: 'payload.channel', message: 'is missing: the name of the room' });
  if (!isOfRoom && given.url == null)
    issues.push({ field: 'payload.url', message: 'is missing: the address of the page' });
  return issues;
}

function unmakeable({ format, video }: GivenPayload, isOfRoom: boolean): Issue[] {
  if (format == null || formats[format].video?.length !== 0) return [];
  if (!isOfRoom)
    return [{ field: 'payload.format', message: `${formats[format].name} has no picture: a page is seen` }];
  return video ? [{ field: 'payload.video', message: `has no place in ${formats[format].name}: leave it out` }] : [];
}
