/** What recorders take of processors and memory, against what is reserved for them before they start (src/jobs/cost.ts). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenPage, PeopleSource, Source } from '../src/jobs/capture.js';
import { costOf } from '../src/jobs/cost.js';
import { freePort } from '../stack/ports.js';
import { recordingOf, usualVideo } from '../test/testkit/recording-config.js';
import type { RtpPerson } from '../test/testkit/rtp-people.js';
import { createTaskKit } from '../test/testkit/tasks.js';
import { findHost } from '../worker/host/client.js';
import { incarnationFolder } from '../worker/host/folders.js';
import { serveDemoPage } from './demo-page.js';
import { proportionalBytes } from './process-tree.js';
import { hasBegun, recordPage, recordStream } from './recorder-host.js';
import { type BenchResult, noiseNote, table } from './result.js';
import { openRoomBed } from './room-bed.js';
import { listening, masterIn, startSender } from './stream-bed.js';
import { measureUsage } from './usage.js';

/** How much more than is reserved one may take: pages differ by more than that among themselves. */
const goal = 1.25;
const windowMs = { quick: 3_000, usual: 15_000 };
const settleMs = { quick: 2_000, usual: 10_000 };
const pageSizes = [
  { width: 1280, height: 720 },
  { width: 1920, height: 1080 },
];
const people: RtpPerson[] = ['ann', 'ben', 'cat'].map((identity, index) => ({
  ...{ identity, colour: 'red', tone: 437 + 100 * index, size: { width: 640, height: 360 } },
}));

type Of = 'quick' | 'usual';
interface Taken {
  cores: number;
  bytes: number;
  others: number;
}
interface Case {
  name: string;
  source: Source;
  taken: Taken;
}

/** About 3 minutes; less than 50 s when quick, which leaves out what takes more than a page of the usual size. */
export async function benchCost(quick: boolean): Promise<BenchResult> {
  const of = quick ? 'quick' : 'usual';
  const cases = [await pageCase(of, pageSizes[0] as (typeof pageSizes)[0])];
  if (!quick) {
    cases.push(await pageCase(of, pageSizes[1] as (typeof pageSizes)[0]), await pageCase(of, pageSizes[0], true));
    cases.push(await streamCase(of, true));
  }
  cases.push(await streamCase(of, false), await peopleCase(of));

  const compared = cases.map(({ name, source, taken }) => {
    const { cores, memoryBytes } = costOf(source);
    return { name, cores: [taken.cores, cores] as const, bytes: [taken.bytes, memoryBytes] as const };
  });
  const megabytes = (bytes: number) => (bytes / 1_048_576).toFixed(0);
  console.log(
    table(
      ['', 'cores', 'reserved', 'MB', 'reserved'],
      compared.map(({ name, cores, bytes }) => [
        name,
        ...cores.map((each) => each.toFixed(3)),
        ...bytes.map((each) => megabytes(each)),
      ]),
    ),
  );
  const noise = noiseNote(Math.max(...cases.map(({ taken }) => taken.others)));
  if (noise) console.log(noise);
  const [worst] = compared
    .flatMap(({ name, cores, bytes }) => [
      { unit: `cores (${name})`, value: cores[0], floor: cores[1] },
      { unit: `bytes (${name})`, value: bytes[0], floor: bytes[1] },
    ])
    .sort((a, b) => b.value / b.floor - a.value / a.floor);
  if (!worst || cases.some(({ taken }) => taken.cores === 0 || taken.bytes === 0))
    throw new Error('Nothing was measured.');
  const ratio = worst.value / worst.floor;
  return { name: 'cost', ...worst, ratio, goal, ok: ratio <= goal, details: { compared } };
}

async function take(pid: number, of: Of): Promise<Taken> {
  const { cores, others } = await measureUsage([pid], windowMs[of], settleMs[of]);
  return { cores, others, bytes: proportionalBytes([pid]) };
}

async function pageCase(of: Of, size: { width: number; height: number } | undefined, webGL = false): Promise<Case> {
  const { width, height } = size ?? { width: 1280, height: 720 };
  const page = await serveDemoPage(webGL ? './webgl.html' : undefined);
  const output = recordingOf({ input: { type: 'HLS' } }).output;
  const source: OpenPage = {
    ...{ kind: 'page', url: page.url, width, height, fps: 30, loadTimeoutMs: 30_000 },
    ...(webGL ? { task: { output, naming: { pattern: 'x', region: 'local', room: null }, sound: null, webGL } } : {}),
  };
  const host = await recordPage(source, page.host);
  try {
    const name = `page ${width}x${height}${webGL ? ', WebGL' : ''}`;
    return { name, source, taken: await take(host.identity.pid, of) };
  } finally {
    await host.remove();
    page.close();
  }
}

async function streamCase(of: Of, isEncoded: boolean): Promise<Case> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-bench-'));
  const listenPort = await freePort();
  const size = { width: 1280, height: 720 };
  const recording = recordingOf({
    input: { type: 'SRT_SERVER', listenPort },
    ...(isEncoded ? { video: { ...usualVideo, ...size, preset: 'veryfast', bitrate: 4_000_000 } } : {}),
  });
  const host = await recordStream(recording);
  let sender: ReturnType<typeof startSender> | undefined;
  try {
    await listening(listenPort);
    sender = startSender(masterIn(folder), listenPort);
    await hasBegun(host);
    const name = isEncoded ? 'stream, encoded at 1280x720' : 'stream, copied';
    return { name, source: { kind: 'stream', recording }, taken: await take(host.identity.pid, of) };
  } finally {
    sender?.kill('SIGKILL');
    await host.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function peopleCase(of: Of): Promise<Case> {
  const bed = await openRoomBed(people);
  const tasks = createTaskKit(bed.stack);
  let hasFailed = true;
  try {
    const users = people.map(({ identity }) => identity);
    const task = await tasks.start({ layout: 'FLAT', channel: 'bench', users, format: 'MKV', maxDuration: 600 });
    await task.recordedFor(1_000);
    const host = findHost(incarnationFolder(join(bed.stack.dataDir, 'jobs', task.jobId), 1));
    if (!host) throw new Error('The task has no recorder host.');
    const taken = await take(host.pid, of);
    await task.finish();
    hasFailed = false;
    return { name: `${people.length} people, one by one`, source: { kind: 'people', users } as PeopleSource, taken };
  } finally {
    await tasks.close();
    await bed.close(hasFailed);
  }
}
