import { afterEach, expect, test, vi } from 'vitest';
import { childEnvironment } from '../../src/config.js';
import { identify, isRunning, type ProcessIdentity } from '../../src/process-identity.js';
import { createLog } from '../../stack/log.js';
import { untilGone } from '../../stack/process-end.js';
import { type ProcessSpec, type SupervisedProcess, supervise } from '../../stack/supervisor.js';

const running: SupervisedProcess[] = [];
afterEach(() => {
  for (const supervised of running.splice(0)) supervised.abort();
});

const ready = `process.send({ type: 'ready' }); setInterval(() => {}, 1000);`;

function start(script: string, overrides: Partial<ProcessSpec> = {}) {
  const lines: string[] = [];
  const spec: ProcessSpec = {
    name: 'child',
    command: async () => ({ file: process.execPath, args: ['-e', script], env: childEnvironment({}) }),
    cwd: '/',
    ipc: true,
    ready: 'message',
    stop: 'SIGTERM',
    stopLimitMs: 10_000,
    ...overrides,
  };
  const child = supervise(
    spec,
    createLog((line) => lines.push(line)),
  );
  running.push(child);
  return { child, lines };
}

test('a dead child is started again, each time after a longer wait', async () => {
  const { child, lines } = start(ready);
  await child.ready();
  for (const waitMs of [250, 500, 1000]) {
    const before = child.pid;
    await child.kill('SIGKILL');
    await child.ready();
    expect(child.pid).not.toBe(before);
    expect(lines.filter((line) => line.includes('was ended by SIGKILL')).at(-1)).toContain(
      `started again in ${waitMs} ms`,
    );
  }
});

test('a child that never starts is given up, with its last words', async () => {
  const { child, lines } = start(`console.error('no such file: settings'); process.exit(3)`);
  await expect(child.ready()).rejects.toThrow(
    /child does not start: it ended with exit code 3.*\n(.*\n)*no such file: settings/,
  );
  expect(lines.some((line) => line.includes('2 times in a row'))).toBe(true);
});

test('a child that died is not ready because whoever looked whether it is has stopped looking', async () => {
  const ready = (died: AbortSignal) => new Promise<void>((resolve) => died.addEventListener('abort', () => resolve()));
  const { child } = start('process.exit(3)', { ready, ipc: false });
  await expect(child.ready()).rejects.toThrow('child does not start');
});

test('a program that does not exist is named', async () => {
  const { child } = start('', { command: async () => ({ file: '/nowhere/program', args: [], env: {} }) });
  await expect(child.ready()).rejects.toThrow('/nowhere/program');
});

test('a child that is stopped stays stopped, and gets the time it needs', async () => {
  const { child, lines } = start(
    `process.on('SIGTERM', () => setTimeout(() => { console.log('tidy'); process.exit(0); }, 300)); ${ready}`,
  );
  await child.ready();
  const identity = identify(child.pid as number) as ProcessIdentity;
  await child.stop();
  expect(isRunning(identity)).toBe(false);
  expect(child.pid).toBeUndefined();
  await vi.waitFor(() => expect(lines.at(-1)).toContain('tidy'));
});

test('a child that does not end in time is killed, with all it started', async () => {
  const { child, lines } = start(
    `process.on('SIGTERM', () => {});
     const { pid } = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
     console.log('grandchild', pid); ${ready}`,
    { stopLimitMs: 200 },
  );
  await child.ready();
  const grandchild = await vi.waitFor(() => {
    const line = lines.find((text) => text.includes('grandchild'));
    return identify(Number(line?.split(' ').at(-1))) as ProcessIdentity;
  });
  await child.stop();
  expect(await untilGone(grandchild, 5_000)).toBe(true);
});

test('a stop can be a message, after which the child ends by itself', async () => {
  const script = `process.on('message', ({ type }) => { console.log('asked to', type); process.exit(0); }); ${ready}`;
  const { child, lines } = start(script, { stop: { type: 'suspend' } });
  await child.ready();
  await child.stop();
  expect(lines.some((line) => line.includes('asked to suspend'))).toBe(true);
});

test('the log is one readable line for each line, JSON of pino included', () => {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line));
  log('api', 'plain');
  log(
    'api',
    '{"level":50,"time":1,"pid":2,"hostname":"h","name":"api","jobId":"j1","msg":"went wrong","err":{"stack":"Error: x"}}',
  );
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} api {6}\| plain$/);
  expect(lines[1]).toMatch(/ api {6}\| ERROR went wrong jobId=j1 \nError: x$/);
});
