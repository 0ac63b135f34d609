/** Cores used while a page is recorded at 1280x720 and 30 frames a second, ours against the bare pipeline, in turns. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenPage } from '../src/jobs/capture.js';
import { type ContentReport, contentReport } from '../test/testkit/media-report.js';
import { type Recipe, readRecipe, startBarePipeline } from './bare-pipeline.js';
import { serveDemoPage } from './demo-page.js';
import { recordPage } from './recorder-host.js';
import { type BenchResult, noiseNote, type Spread, spread, table } from './result.js';
import { measureUsage, type Usage } from './usage.js';

const highestRatio = 1.15;
// The promise is for a minute. In a file of 4 s one picture is 0.8 %, so a quick run can only tell that nothing is badly wrong.
const lowestFrameShares = { minute: 0.99, quick: 0.95 };
// Start-up is not measured: what the browser does in its first moments is over by then.
const settleMs = 1_000;

/** About 4 minutes; 40 s when quick, which is good for a rough number only. */
export async function benchCapture(quick: boolean): Promise<BenchResult> {
  const rounds = quick ? 2 : 3;
  const windowMs = quick ? 4_000 : 20_000;
  const fileMs = quick ? windowMs : 60_000;
  const lowestFrameShare = lowestFrameShares[quick ? 'quick' : 'minute'];
  const page = await serveDemoPage();
  const source: OpenPage = { kind: 'page', url: page.url, width: 1280, height: 720, fps: 30, loadTimeoutMs: 30_000 };
  const ours: Usage[] = [];
  const bare: Usage[] = [];
  let recipe: Recipe | null = null;
  let file: ContentReport | null = null;
  let bareFile: ContentReport | null = null;
  for (let round = 1; round <= rounds; round++) {
    const restMs = round === rounds ? fileMs - windowMs : 0;
    const host = await recordPage(source, page.host);
    try {
      recipe ??= readRecipe(host);
      ours.push(await measureUsage([host.identity.pid], windowMs, settleMs));
      await sleep(restMs);
      await host.stop();
      if (round === rounds) file = await contentReport(host.part);
    } finally {
      await host.remove();
    }
    const peer = await startBarePipeline(recipe, page.url);
    try {
      bare.push(await measureUsage(peer.pids, windowMs, settleMs));
      await sleep(restMs);
    } finally {
      await peer.stop();
    }
    if (round === rounds) bareFile = await contentReport(peer.part);
    await peer.remove();
    console.log(`round ${round} of ${rounds}: ours ${told(ours.at(-1))}, bare ${told(bare.at(-1))}`);
  }
  page.close();

  const [us, them] = [ours, bare].map((runs) => spread(runs.map(({ cores }) => cores))) as [Spread, Spread];
  const row = (name: string, { median, min, max }: Spread, report: ContentReport | null) => [
    name,
    ...[median, min, max].map((cores) => cores.toFixed(3)),
    `${(100 * (report?.hitShare ?? 0)).toFixed(2)} %`,
  ];
  const headings = ['cores a recorded second', 'median', 'lowest', 'highest', `frames found in ${fileMs / 1000} s`];
  console.log(`\n${table(headings, [row('recorder host', us, file), row('bare pipeline', them, bareFile)])}`);
  const othersCores = Math.max(...[...ours, ...bare].map(({ others }) => others));
  const noise = noiseNote(othersCores);
  if (noise) console.log(noise);
  const ratio = us.median / them.median;
  const frameShare = file?.hitShare ?? 0;
  return {
    ...{ name: 'capture', value: us.median, unit: 'cores', floor: them.median, ratio, goal: highestRatio },
    ok: ratio <= highestRatio && frameShare >= lowestFrameShare,
    details: {
      ...{ ours: ours.map(({ cores }) => cores), bare: bare.map(({ cores }) => cores), othersCores },
      ...{
        frameShare,
        frameShareGoal: lowestFrameShare,
        bareFrameShare: bareFile?.hitShare,
        fileSeconds: fileMs / 1000,
      },
      avOffsetMs: file?.avOffsetMedianMs,
    },
  };
}

const told = (usage: Usage | undefined): string =>
  `${usage?.cores.toFixed(3)} cores (others ${usage?.others.toFixed(2)})`;
