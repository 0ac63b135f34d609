/** Windows that begin or end while the engine is away, or whoever works for it is killed. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { livePage, servePages } from '../testkit/host.js';
import { createScheduleKit, type ScheduleKit, windowIn } from '../testkit/schedules.js';

const folder = temporaryDataFolder();
let stack: Stack;
let kit: ScheduleKit;
beforeAll(async () => {
  stack = await startStack({ config: isolatedConfig(folder.dataDir), log: () => {} });
  kit = createScheduleKit(stack);
});
afterAll(async () => {
  await kit.close();
  await stack.stop();
  folder.remove();
});

const at = (ms: number, act: () => void) => {
  const timer = setTimeout(act, ms - Date.now());
  onTestFinished(() => clearTimeout(timer));
};

test('while the engine is away a schedule is made, its window begins, and is recorded once the engine is back', async () => {
  const url = `${await servePages({ '/': livePage() })}/`;
  const engine = stack.pid('temporal');
  const wake = () => void process.kill(engine, 'SIGCONT');
  process.kill(engine, 'SIGSTOP');
  onTestFinished(wake);
  const { window, startMs, stopMs } = windowIn(3, 45);
  const schedule = await kit.create({ windows: [window], archive: { url } });
  await schedule.until('QUEUED');
  at(startMs + 10_000, wake);
  const run = await schedule.until('COMPLETE');
  expect(run.reason).toBe('WINDOW_ENDED');
  expect(run.recordedDuration).toBeGreaterThan(10);
  expect(new Date(run.stoppedAt as string).getTime()).toBeGreaterThan(stopMs - 500);
  expect((await schedule.facts()).runs.totalCount).toBe(1);
}, 120_000);

test('a worker that is killed as the window begins, and as it ends, delays both and costs neither', async () => {
  const url = `${await servePages({ '/': livePage() })}/`;
  const { window, startMs, stopMs } = windowIn(5, 25);
  const schedule = await kit.create({ windows: [window], archive: { url } });
  at(startMs - 300, () => void stack.kill('jobs', 'SIGKILL'));
  at(stopMs - 300, () => void stack.kill('jobs', 'SIGKILL'));
  const run = await schedule.until('COMPLETE');
  expect(run.reason).toBe('WINDOW_ENDED');
  const [startedMs, stoppedMs] = [run.startedAt, run.stoppedAt].map((time) => new Date(time as string).getTime()) as [
    number,
    number,
  ];
  expect(startedMs).toBeGreaterThan(startMs);
  expect(stoppedMs).toBeGreaterThan(stopMs);
  expect(run.recordedDuration).toBeCloseTo((stoppedMs - startedMs) / 1_000, 0);
  expect((await schedule.facts()).runs.totalCount).toBe(1);
}, 120_000);
