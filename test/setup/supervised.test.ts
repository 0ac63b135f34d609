/** Our processes and the supervisor that starts them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { childEnvironment, loadConfig } from '../../src/config.js';

test('a process that waits for a database that never answers does not outlive its supervisor', async () => {
  const silent = createServer((socket) => socket.on('error', () => {}));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const child = spawn(process.execPath, ['--import', 'tsx', 'worker/main.ts', '--role', 'rooms'], {
    cwd: loadConfig().projectRoot,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: childEnvironment({
      DATABASE_URL: `postgresql://tapedeck@127.0.0.1:${port}/none`,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      JANUS_URL: 'ws://127.0.0.1:1',
      JANUS_API_SECRET: 'none',
      JANUS_ADMIN_KEY: 'none',
    }),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  await once(silent, 'connection');
  child.disconnect();
  const first = await Promise.race([exited.then(() => 'exited'), sleep(60_000, 'still there', { ref: false })]);
  expect(first).toBe('exited');
}, 120_000);
