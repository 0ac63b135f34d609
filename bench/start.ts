/** From the request for an archive to its first recorded frame, through the whole running service. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childEnvironment, loadConfig } from '../src/config.js';
import { type Stack, startStack } from '../stack/stack.js';
import { launchBrowser } from '../worker/capture/browser.js';
import { findBrowserUser, sandboxWorks } from '../worker/capture/browser-user.js';
import { openDisplay } from '../worker/capture/display.js';
import { createScratch } from '../worker/capture/scratch.js';
import { openSound } from '../worker/capture/sound.js';
import { type BenchResult, percentile, table } from './result.js';

const limitMs = 60_000;
const pollMs = 100;
const size = { width: 1280, height: 720 };

/** About 2 minutes for 10 starts; 3 when quick. */
export async function benchStart(quick: boolean): Promise<BenchResult> {
  const starts = quick ? 3 : 10;
  const launches: number[] = [];
  for (let n = 0; n < starts; n++) launches.push(await browserLaunchMs());

  const dataDir = await mkdtemp(join(tmpdir(), 'tapedeck-bench-'));
  const lines: string[] = [];
  const environment = childEnvironment({
    DATA_DIR: dataDir,
    PORT: '0',
    POSTGRES_PORT: '0',
    TEMPORAL_PORT: '0',
    TEMPORAL_UI_PORT: '0',
  });
  const stack = await startStack({ config: loadConfig(environment), log: (line) => lines.push(line) });
  const firstFrames: number[] = [];
  try {
    for (let n = 1; n <= starts; n++) {
      const ms = await requestToFirstFrameMs(stack);
      firstFrames.push(ms);
      console.log(`start ${n} of ${starts}: ${ms} ms`);
    }
  } catch (error) {
    console.error(lines.slice(-30).join('\n'));
    throw error;
  } finally {
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  }

  const row = (name: string, values: number[]) => [
    name,
    ...[0.5, 0.95].map((share) => percentile(values, share).toFixed(0)),
  ];
  console.log(
    `\n${table(['ms', 'p50', 'p95'], [row('request to first frame', firstFrames), row('browser launch alone', launches)])}`,
  );
  const [value, floor] = [percentile(firstFrames, 0.5), percentile(launches, 0.5)];
  return {
    ...{ name: 'start', value, unit: 'ms', floor, ratio: value / floor, goal: null, ok: firstFrames.length === starts },
    details: { p95: percentile(firstFrames, 0.95), floorP95: percentile(launches, 0.95), starts },
  };
}

/** A browser with an empty profile on a screen that is there already, until it answers. */
async function browserLaunchMs(): Promise<number> {
  const { recorder } = loadConfig();
  const user = await findBrowserUser(recorder.browserUser);
  const sandbox = await sandboxWorks(user);
  const scratch = createScratch();
  const signal = AbortSignal.timeout(limitMs);
  const display = await openDisplay({ ...size, user, scratch, signal });
  const sound = await openSound({ user, scratch, signal });
  try {
    const startedAt = performance.now();
    // Nothing listens on port 9: the page is blank and asks for nothing.
    const options = {
      chromium: recorder.chromium,
      user,
      sandbox,
      scratch,
      display,
      sound,
      directMedia: false,
      proxyPort: 9,
      signal,
    };
    const browser = await launchBrowser({ ...options, ...size });
    const tookMs = performance.now() - startedAt;
    await browser.kill();
    return tookMs;
  } finally {
    await Promise.all([display.close(), sound.close()]);
    await scratch.remove();
  }
}

async function requestToFirstFrameMs(stack: Stack): Promise<number> {
  const requestedAt = Date.now();
  const { startArchive } = await ask(
    stack,
    `mutation Start($input: StartArchiveInput!) {
       startArchive(input: $input) { __typename ... on StartArchivePayload { archive { id } } ... on Error { message } } }`,
    { input: { url: `${stack.url}/demo`, ...size, maxDuration: 60 } },
  );
  const id = startArchive.archive?.id;
  if (!id) throw new Error(`The archive was not started: ${startArchive.message}`);
  const archive = await follow(stack, id, ({ startedAt }) => startedAt !== null);
  await ask(stack, 'mutation Stop($id: ID!) { stopArchive(input: { archiveId: $id }) { __typename } }', { id });
  await follow(stack, id, ({ job }) => ['COMPLETE', 'PARTIAL', 'FAILED'].includes(job.state));
  return new Date(archive.startedAt as string).getTime() - requestedAt;
}

interface Archive {
  startedAt: string | null;
  message: string | null;
  job: { state: string };
}

async function follow(stack: Stack, id: string, isReached: (archive: Archive) => boolean): Promise<Archive> {
  const until = performance.now() + limitMs;
  for (;;) {
    const query = 'query Archive($id: ID!) { archive(id: $id) { startedAt message job { state } } }';
    const { archive } = (await ask(stack, query, { id })) as { archive: Archive };
    if (isReached(archive)) return archive;
    const isOver = ['FAILED', 'EXPIRED', 'CANCELED'].includes(archive.job.state);
    if (isOver || performance.now() > until) throw new Error(`The archive is ${archive.job.state}: ${archive.message}`);
    await sleep(pollMs);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: two queries of a benchmark; a typed client would be more than they are.
async function ask(stack: Stack, query: string, variables: object): Promise<any> {
  const response = await fetch(`${stack.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${stack.apiKey}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: unknown; errors?: unknown };
  if (!data || errors) throw new Error(`The service answered ${response.status}: ${JSON.stringify(errors)}`);
  return data;
}
