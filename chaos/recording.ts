/** One recording of the demo page, a room or a live stream by the real service, as a client makes and follows it. */

import type { StartArchiveInput } from '../examples/client/gql/graphql.js';
import { isTerminal, type JobState } from '../src/jobs/states.js';
import type { TestArchive } from '../test/testkit/archives.js';
import { cardHz, numberBits } from '../test/testkit/media-card.js';
import type { Bed } from './bed.js';
import type { CheckedJob } from './invariants.js';
import type { LiveCard } from './live-card.js';
import { eventually, HopelessError } from './patience.js';
import type { PictureClock, Span } from './pictures.js';
import { type Subscriber, subscribe } from './subscriber.js';

type Facts = Pick<
  Awaited<ReturnType<TestArchive['facts']>>,
  'state' | 'reason' | 'message' | 'duration' | 'size' | 'sha256sum'
>;

/** What is asked of a recording, whichever way its client made it. */
export interface Recorded extends Pick<TestArchive, 'id' | 'jobId' | 'stop' | 'download'> {
  facts(): Promise<Facts>;
}

export interface Recording<R extends Recorded = Recorded> extends CheckedJob {
  archive: R;
  clock: PictureClock;
  /** When what is recorded had itself nothing to show. */
  away: Span[];
  subscriber: Subscriber;
  /** When the client asked to stop, epoch ms; undefined as long as it did not. */
  stopAskedAt: number | undefined;
}

/** A browser launch and a page load on a machine with much to do. */
const startLimitMs = 60_000;
const stopLimitMs = 60_000;
const endLimitMs = 60_000;
/** What a stop that is granted is answered with: the archive's status by then. */
const accepted = ['STOPPED', 'COMPLETE'];
const maxDurationSeconds = 600;
/** As `/publish` sends a synthetic person: alone, it has all of the picture. */
const personSize = { width: 640, height: 360 };
const personHz = 15;

/** Starts to record the demo page (`pageUrl`, where it is reached by another way), and to follow that. */
export async function startRecording(
  bed: Bed,
  options: { pageUrl?: string; autostart?: boolean; maxDuration?: number } = {},
): Promise<Recording<TestArchive>> {
  const since = Date.now();
  const { pageUrl = bed.pageUrl, ...input } = options;
  return start(bed, { url: `${pageUrl}?since=${since}`, ...input }, { since, hz: cardHz });
}

/** Starts to record a room with one synthetic person, who counts since 1970, as far as the strip goes. */
export function startRoomRecording(bed: Bed, roomId: string): Promise<Recording<TestArchive>> {
  const roundMs = (1_000 * 2 ** numberBits) / personHz;
  const clock = { since: Math.floor(Date.now() / roundMs) * roundMs, hz: personHz };
  return start(bed, { url: undefined, roomId, ...personSize }, clock);
}

async function start(
  bed: Bed,
  input: Partial<StartArchiveInput>,
  clock: PictureClock,
): Promise<Recording<TestArchive>> {
  const archive = await bed.kit.start({ maxDuration: maxDurationSeconds, callbackUrl: bed.receiver.url, ...input });
  return follow(bed, archive, clock);
}

/** Starts to record a live stream, copied into one file. */
export async function startStreamRecording(bed: Bed, { url, clock }: LiveCard): Promise<Recording> {
  const made = await bed.recordings.create({ input: { type: 'RTMP_URL', url } });
  const { id } = await made.run();
  const run: Recorded = {
    ...{ id, jobId: await made.runJobId() },
    async facts() {
      const { state, reason, message, stats } = await made.run();
      const [file] = isTerminal(state) ? await made.files() : [];
      return {
        ...{ state, reason, message, duration: stats?.position ?? null },
        ...{ size: file?.size ?? null, sha256sum: file?.sha256sum ?? null },
      };
    },
    async stop(requestId) {
      return (await made.stop(requestId)) ? 'STOPPED' : 'INVALID_STATE';
    },
    async download(folder) {
      const [file, ...others] = await made.files();
      if (!file || others.length > 0) throw new Error(`there are ${others.length + (file ? 1 : 0)} files`);
      return made.download(file, folder);
    },
  };
  return follow(bed, run, clock);
}

function follow<R extends Recorded>(bed: Bed, archive: R, clock: PictureClock): Recording<R> {
  return {
    ...{ archive, jobId: archive.jobId, clock, away: [], stopAskedAt: undefined },
    subscriber: subscribe(bed.kit.tapedeck, archive.id),
    results: resultsOf(archive),
  };
}

/** The one file of a recording, as it is checked. */
export const resultsOf =
  (archive: Pick<Recorded, 'facts' | 'download'>): CheckedJob['results'] =>
  async () => {
    const { size, sha256sum } = await archive.facts();
    return [{ size, sha256sum, download: archive.download }];
  };

/** Waits until the job is in the state. Throws when it ends in another. */
export function untilState(recording: Recording, state: JobState, limitMs = endLimitMs): Promise<Facts> {
  return eventually(`the recording to be ${state}`, limitMs, async () => {
    const facts = await recording.archive.facts();
    if (facts.state !== state && isTerminal(facts.state as JobState)) throw ended(facts);
    return facts.state === state && facts;
  });
}

/** Waits until so many milliseconds more are recorded than now, or than `from`; answers when that was seen. */
export async function recordedOn(
  recording: Recording,
  ms: number,
  options: { from?: number; limitMs?: number } = {},
): Promise<void> {
  const { limitMs = startLimitMs } = options;
  let from = options.from;
  await eventually(`${ms} ms more to be recorded`, limitMs + ms, async () => {
    const facts = await recording.archive.facts();
    if (isTerminal(facts.state as JobState)) throw ended(facts);
    const recordedMs = (facts.duration ?? 0) * 1000;
    from ??= recordedMs;
    return facts.state === 'RECORDING' && recordedMs >= from + ms;
  });
}

/**
 * Stops and waits for the end. While the engine is still finding itself again, a stop may be answered "ask again". Throws when
 * the same request, sent again, is not answered as the first time, or when another one is granted.
 */
export async function stopAndWait(recording: Recording): Promise<Facts> {
  const { archive } = recording;
  await eventually('the stop to be accepted', stopLimitMs, async () => {
    recording.stopAskedAt = Date.now();
    const answer = await archive.stop(`stop-${recording.jobId}`);
    if (accepted.includes(answer)) return true;
    const facts = await archive.facts();
    if (isTerminal(facts.state as JobState)) throw ended(facts);
    throw new Error(`it was answered ${answer}`);
  });
  const end = await untilEnd(recording);
  const again = await archive.stop(`stop-${recording.jobId}`);
  if (!accepted.includes(again)) throw new Error(`The same stop, sent again after the end, was answered ${again}.`);
  const another = await archive.stop();
  if (another !== 'INVALID_STATE') throw new Error(`Another stop after the end was answered ${another}.`);
  return end;
}

/** Waits for the job's end, whichever it is. */
export function untilEnd(recording: Pick<Recording, 'archive'>, limitMs = endLimitMs): Promise<Facts> {
  return eventually('the job to end', limitMs, async () => {
    const facts = await recording.archive.facts();
    return isTerminal(facts.state as JobState) && facts;
  });
}

function ended({ state, reason, message }: Facts): HopelessError {
  return new HopelessError(`The job ended as ${state}: ${reason}, ${message}`);
}
