/** What becomes of one task of a storm: decided by chance beforehand, then played as its client does it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskPayloadInput } from '../examples/client/gql/graphql.js';
import { isTerminal, type JobState } from '../src/jobs/states.js';
import { RefusedError } from '../test/testkit/recordings.js';
import type { TestTask } from '../test/testkit/tasks.js';
import type { Bed } from './bed.js';
import type { Chance } from './chance.js';
import { eventually } from './patience.js';
import { type Subscriber, subscribe } from './subscriber.js';

/** When the client asks it to stop. `soon` is at a random moment: while it waits, starts or records. */
const stops = ['never', 'at once', 'soon', 'while it records', 'twice', 'when it has ended'] as const;
/** Those that record are to be most; of the formats, what is made of people in HLS and MP4 takes the longest. */
const stopDeck = [...stops, 'never', 'never', 'while it records', 'while it records'] as const;
const formatDeck = ['MKV', 'MKV', 'MKV', 'MP4', 'M3U8'] as const;
const followedShare = 5;

export interface Story {
  requestId: string;
  payload: TaskPayloadInput & { users: string[]; maxDuration: number };
  /** The same request is sent twice at once. */
  isSentTwice: boolean;
  /** The same request id is used again for something else. */
  isContradicted: boolean;
  /** Somebody follows its events, and its changes of state are posted. */
  isFollowed: boolean;
  stop: (typeof stops)[number];
  stopAfterMs: number;
}

export interface Played {
  story: Story;
  task: TestTask;
  /** How the wish to stop it was answered; null when there was none. */
  stop: string | null;
  subscriber?: Subscriber;
}

/** A task that is to be stopped must be stopped: its own end is further away than any fault lasts. */
const longSeconds = 300;
const answerLimitMs = 120_000;
/** From its start to its end at most: it waits for a place, again when its machine is lost, records and is made into files. */
const endLimitMs = 240_000;
const lookMs = 250;

export function storyOf(
  chance: Chance,
  { name, channel, people }: { name: string; channel: string; people: string[] },
): Story {
  const stop = chance.pick(stopDeck);
  const isShort = stop === 'never' || stop === 'when it has ended';
  const users = chance.pick([people, ...people.map((person) => [person])]);
  const format = chance.pick(formatDeck);
  const maxDuration = isShort ? chance.between(2, 4) : longSeconds;
  return {
    requestId: name,
    payload: { channel, users, format, maxDuration, filenamePattern: '{user}' },
    isSentTwice: chance.between(1, 3) === 1,
    isContradicted: chance.between(1, 4) === 1,
    isFollowed: chance.between(1, followedShare) === 1,
    stop,
    stopAfterMs: chance.between(0, stop === 'while it records' ? 2_500 : 6_000),
  };
}

/** Plays the story to the task's end, or until that is waited for too long. Answers null when the task was never accepted. */
export async function play(bed: Bed, story: Story, complain: (about: string) => void): Promise<Played | null> {
  const { requestId, payload, stopAfterMs } = story;
  const more = { requestId, ...(story.isFollowed ? { callbackUrl: bed.receiver.url } : {}) };
  const start = () => answered(`the start ${requestId}`, () => bed.tasks.start(payload, more));
  const starts = await Promise.all(story.isSentTwice ? [start(), start()] : [start()]);
  const [task, twin] = starts;
  if (!task || task instanceof RefusedError) {
    complain(`${requestId} was refused: ${task?.message}`);
    return null;
  }
  const expectSame = (other: TestTask | RefusedError | undefined, when: string) => {
    if (other instanceof RefusedError) complain(`${requestId}, sent again ${when}, was refused: ${other.message}`);
    else if (other && other.id !== task.id)
      complain(`${requestId}, sent again ${when}, started both ${task.jobId} and ${other.jobId}`);
  };
  expectSame(twin, 'at once');
  const subscriber = story.isFollowed ? subscribe(bed.kit.tapedeck, task.id) : undefined;
  if (story.isContradicted) {
    const other = { ...payload, maxDuration: payload.maxDuration + 1 };
    const refused = await answered(`the other start ${requestId}`, () => bed.tasks.start(other, more));
    if (!(refused instanceof RefusedError) || refused.code !== 'CONFLICT')
      complain(`${requestId}, sent again with other input, was ${refused instanceof RefusedError ? refused : 'taken'}`);
  }

  const stopId = `stop-${requestId}`;
  const ask = async (id = stopId) => {
    const answer = await answered(`the stop ${id}`, () => task.stop(id));
    return answer instanceof RefusedError ? answer.code : answer.status;
  };
  let stop: string | null = null;
  if (story.stop === 'at once') stop = await ask();
  else if (story.stop === 'while it records') {
    await untilState(bed, task, (state) => state === 'RECORDING' || isTerminal(state));
    await sleep(stopAfterMs);
    stop = await ask();
  } else if (story.stop === 'soon' || story.stop === 'twice') {
    await sleep(stopAfterMs);
    const again = story.stop === 'twice';
    const answers = await Promise.all(again ? [ask(), ask()] : [ask()]);
    // Another request to stop what stops is taken like the first.
    if (again) answers.push(await ask(`other-${stopId}`));
    if (new Set(answers).size > 1) complain(`the stops of ${requestId} were answered ${answers.join(', ')}`);
    stop = answers[0] ?? null;
  }
  await untilState(bed, task, isTerminal);
  if (story.stop === 'when it has ended') stop = await ask();
  if (stop !== null) {
    const later = await ask();
    if (later !== stop) complain(`the stop of ${requestId} was answered ${stop}, and ${later} when it was sent again`);
  }
  expectSame(await start(), 'after its end');
  return { story, task, stop, ...(subscriber ? { subscriber } : {}) };
}

/** Asks until there is an answer, as one does who got none; a refusal is one. */
function answered<T>(what: string, ask: () => Promise<T>): Promise<T | RefusedError> {
  return eventually(`an answer to ${what}`, answerLimitMs, () =>
    ask().catch((error) => {
      if (error instanceof RefusedError) return error;
      throw error;
    }),
  );
}

/** Whoever waits in vain goes on: that the task has not ended is found when it is checked. */
async function untilState(bed: Bed, { jobId }: TestTask, isWanted: (state: JobState) => boolean): Promise<void> {
  await eventually(`task ${jobId}`, endLimitMs, async () => {
    await sleep(lookMs);
    const { state } = await bed.db.job.findUniqueOrThrow({ where: { id: jobId }, select: { state: true } });
    return isWanted(state);
  }).catch(() => {});
}
