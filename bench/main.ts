/** `npm run bench -- NAME [--quick | --full] [--json]`: one measured claim, beside the peer it is measured against. */
import { benchCapture } from './capture.js';
import { benchCost } from './cost.js';
import { benchJobs } from './jobs.js';
import { benchLatency } from './latency.js';
import { benchLists } from './lists.js';
import { benchOutbox } from './outbox.js';
import { benchRealtime } from './realtime.js';
import { benchRecording } from './recording.js';
import type { BenchResult } from './result.js';
import { benchRoom } from './room.js';
import { benchScale } from './scale.js';
import { benchSockets } from './sockets.js';
import { benchStart } from './start.js';
import { benchSync } from './sync.js';
import { benchTracks } from './tracks.js';

const benches: Record<string, { about: string; run: (quick: boolean, full: boolean) => Promise<BenchResult> }> = {
  capture: {
    about: 'cores used while a page is recorded, against the same programs started by hand',
    run: benchCapture,
  },
  cost: {
    about: 'what recorders take of processors and memory, against what is reserved for them before they start',
    run: benchCost,
  },
  realtime: {
    about: 'deliveries a second and core at 1,000 sockets on one topic, against other GraphQL servers',
    run: benchRealtime,
  },
  sockets: {
    about: 'how many sockets, each with its own job and an event a second, two cores carry',
    run: benchSockets,
  },
  jobs: {
    about:
      'jobs a second from their request to their end with a recorder that records nothing, against a bare workflow',
    run: benchJobs,
  },
  latency: { about: 'from the commit of an event to the client, against a bare NOTIFY', run: benchLatency },
  outbox: { about: 'commits a second with the event beside the change, against plain inserts', run: benchOutbox },
  lists: { about: 'pages of lists at 1,000,000 jobs, against the same at 1,000', run: benchLists },
  room: {
    about: 'cores used and time taken to record a room with three people, against the same programs started by hand',
    run: benchRoom,
  },
  sync: {
    about:
      'how far sound and picture are apart in the recordings of a room, and whether they drift, against what was sent',
    run: benchSync,
  },
  tracks: {
    about: 'cores used a participant whose streams are recorded one by one, against ffmpeg that copies the same',
    run: benchTracks,
  },
  recording: {
    about: 'cores, memory and time a recorded SRT stream takes, and how many two cores hold, against ffmpeg by hand',
    run: benchRecording,
  },
  scale: {
    about:
      'what a job costs after 10,000 others (100,000 with --full), against the first, with a recorder that records nothing',
    run: benchScale,
  },
  start: { about: 'from a request to the first recorded frame, against the launch of a browser', run: benchStart },
};

const words = process.argv.slice(2);
const flags = new Set(words.filter((word) => word.startsWith('--')));
const [name] = words.filter((word) => !word.startsWith('--'));
const bench = name === undefined ? undefined : benches[name];
const unknown = [...flags].filter((flag) => !['--quick', '--full', '--json'].includes(flag));
if (!bench || unknown.length > 0) {
  if (unknown.length > 0) console.error(`There is no option ${unknown.join(', ')}.`);
  else if (name !== undefined) console.error(`There is no benchmark "${name}".`);
  console.error('Usage: npm run bench -- NAME [--quick | --full] [--json]\n');
  for (const [each, { about }] of Object.entries(benches)) console.error(`  ${each.padEnd(10)}${about}`);
  process.exit(2);
}

const result = await bench.run(flags.has('--quick'), flags.has('--full')).catch((error: unknown): BenchResult => {
  console.error(error instanceof Error ? error.stack : error);
  const nothing = { value: null, floor: null, ratio: null, goal: null };
  return { name: name as string, unit: '', ...nothing, ok: false, details: { error: String(error) } };
});
const { ratio, goal, goalIs = 'at most' } = result;
if (ratio !== null) {
  const verdict = goal === null ? '' : `, ${goalIs} ${goal} wanted: ${result.ok ? 'good' : 'missed'}`;
  console.log(`\nratio ${ratio.toFixed(3)}${verdict}`);
}
if (flags.has('--json')) {
  const { details, ...numbers } = result;
  console.log(JSON.stringify({ ...numbers, ...details }));
}
// Whatever a library still waits for, the measurement is over.
process.exit(result.ok ? 0 : 1);
