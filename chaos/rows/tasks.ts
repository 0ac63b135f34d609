/** Very many tasks under fire: whatever dies, each is there once and ends rightly, with its files made once. */
import { pino } from 'pino';
import { EnsureRoom } from '../../examples/client/operations.js';
import { uuidFrom } from '../../schema/ids.js';
import { limitedTo } from '../../src/limited.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { filmOf, publishPeople, type RtpPerson } from '../../test/testkit/rtp-people.js';
import type { Bed } from '../bed.js';
import type { CheckedJob } from '../invariants.js';
import type { Account, Row, Trial } from '../row.js';
import { restartRecorders, startFaults } from '../task-faults.js';
import { judgeMedia, judgeStorage, judgeTask } from '../task-judgement.js';
import { type Played, play, type Story, storyOf } from '../task-story.js';
import { restartMs } from './services.js';

const sizes = { quick: 20, full: 1_000 };
/** More than there are places, so that some always wait, and few enough that none waits for as long as it may. */
const atOnce = 12;
/** So many of the last are left in peace: how long they take then is the row's recovery. */
const atPeace = 4;
/** Tasks whose files are read. */
const sample = 50;
/** They publish for as long as the row lasts. */
const people: RtpPerson[] = [
  { identity: 'anna', colour: 'red', tone: 437 },
  { identity: 'ben', colour: 'blue', tone: 700, codec: 'h264' },
];

export const taskRows: Row[] = [
  {
    name: 'tasks',
    bed: 'cluster',
    about: `${sizes.full.toLocaleString('en-US')} tasks (${sizes.quick} in quick runs), many sent twice and stopped at random, on two machines whose workers and hosts are killed, drained and replaced all the while, as are the API and the jobs worker`,
    // From the last fault to the end of the last of them, which may have lost its machine, and waits for another one.
    promise: (bed) => ({ lostMs: 0, recoveryMs: bed.machineTimeoutMs + bed.taskQueueTimeoutMs + restartMs }),
    run: storm,
  },
];

async function storm(trial: Trial): Promise<Account> {
  const { bed, chance, quick } = trial;
  const { cluster } = bed;
  if (!cluster) throw new Error('This row needs a cluster.');
  await Promise.all(people.map(filmOf));
  const server = await connectMediaServer(bed.stack.mediaServer, { log: pino({ level: 'silent' }) });
  try {
    const channel = `storm ${crypto.randomUUID()}`;
    const { ensureRoom } = await bed.kit.tapedeck.request(EnsureRoom, { input: { name: channel } });
    if (ensureRoom.__typename !== 'EnsureRoomPayload') throw new Error(`there is no room: ${ensureRoom.message}`);
    const present = await publishPeople(server, uuidFrom(ensureRoom.room.id, ['Room'], 'room'), people);
    try {
      const names = people.map(({ identity }) => identity);
      const stories = Array.from({ length: quick ? sizes.quick : sizes.full }, (_, number) =>
        storyOf(chance, { name: `${channel}-${number}`, channel, people: names }),
      );
      return await underFire(trial, cluster, stories);
    } finally {
      await present.leave();
    }
  } finally {
    await server.close();
  }
}

async function underFire(
  { bed, chance, quick }: Trial,
  { recorders, filesFolder }: NonNullable<Bed['cluster']>,
  stories: readonly Story[],
): Promise<Account> {
  const complaints: string[] = [];
  const complain = (about: string): void => void complaints.push(about);
  const faults = startFaults({ bed, recorders, chance: chance.of('faults'), quick, recording: () => recordedNow(bed) });
  let left = stories.length;
  let quietSince = Date.now();
  let quiet: Promise<void> | undefined;
  const playOne = limitedTo(atOnce)(async (story: Story) => {
    const end = await play(bed, story, complain).catch((error: Error) => {
      complain(`${story.requestId}: ${error.message}`);
      return null;
    });
    left--;
    if (left <= atPeace && !quiet) {
      quietSince = Date.now();
      quiet = faults.stop();
    }
    return end;
  });
  const played = (await Promise.all(stories.map(playOne))).filter((each) => each !== null);
  const recoveryMs = Date.now() - quietSince;
  await quiet;
  await restartRecorders(recorders);

  const { channel } = (stories[0] as Story).payload;
  const there = await bed.db.task.count({ where: { requestId: { startsWith: `${channel}-` } } });
  if (there !== stories.length) complain(`${stories.length} tasks were asked for, and there are ${there}`);
  for (const each of played) complaints.push(...(await judgeTask(bed, each, faults.hit.has(each.task.jobId))));
  complaints.push(...(await judgeStorage(bed, filesFolder)));
  const looked = chance.shuffle(played.map(({ task }) => task.jobId)).slice(0, sample);
  const media = await judgeMedia(bed, filesFolder, looked);
  complaints.push(...media.complaints);
  if (media.read === 0) complain('no media was read');
  const done = [...faults.done].map(([fault, count]) => `${count} times ${fault}`);
  if (done.length === 0) complain('nothing was broken');
  const tried = { count: played.length, unit: 'tasks', under: done.join(', ') };
  return { jobs: played.map(checked), recoveryMs, tried, complaints };
}

const checked = ({ task, subscriber }: Played): CheckedJob => ({
  jobId: task.jobId,
  ...(subscriber ? { subscriber } : {}),
  async results() {
    const { files } = await task.facts();
    return files.nodes.map((file) => ({
      ...{ size: file.size, sha256sum: file.sha256sum },
      download: (folder) => task.download(file, folder),
    }));
  },
});

/** Jobs that may have a recorder host at the moment. */
async function recordedNow(bed: Bed): Promise<string[]> {
  const jobs = await bed.db.job.findMany({
    where: { kind: 'TASK', state: { in: ['STARTING', 'RECORDING', 'RECONNECTING'] } },
    select: { id: true },
  });
  return jobs.map(({ id }) => id);
}
