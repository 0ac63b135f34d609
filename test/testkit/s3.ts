/** A real S3 server for tests: versitygw over a folder, on a port of its own, which can be held still. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { strangerEnvironment } from '../../src/config.js';
import type { S3Settings } from '../../src/storage/s3-connection.js';
import { freePort } from '../../stack/ports.js';

const startLimitMs = 20_000;
const pollMs = 50;
const bucket = 'tapedeck-test';

export interface S3Server {
  /** What `config.s3` would say of it. */
  settings: S3Settings;
  /** The same as environment variables. */
  environment: Record<string, string>;
  /** Where the objects of the bucket lie as files. */
  bucketFolder: string;
  pid: number;
  /** Holds it still (SIGSTOP): it takes connections and answers nothing. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** Starts a server that keeps its objects in the folder, which is created; the bucket is there. */
export async function startS3({ folder }: { folder: string }): Promise<S3Server> {
  const bucketFolder = join(folder, bucket);
  // Over a file system a bucket is a folder.
  mkdirSync(bucketFolder, { recursive: true });
  const credentials = { accessKeyId: 'tapedeck', secretAccessKey: randomBytes(24).toString('base64url') };
  const port = await freePort();
  // The kernel ends it when the tests are killed.
  const args = [
    '--pdeathsig',
    'KILL',
    versitygw(),
    '--port',
    `127.0.0.1:${port}`,
    '--keep-alive',
    '--quiet',
    'posix',
    folder,
  ];
  const child = spawn('setpriv', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: strangerEnvironment({
      ROOT_ACCESS_KEY: credentials.accessKeyId,
      ROOT_SECRET_KEY: credentials.secretAccessKey,
    }),
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const closed = once(child, 'close');
  const endpoint = `http://127.0.0.1:${port}`;
  await untilAnswer(endpoint, child, () => said);
  const settings = { bucket, endpoint, region: 'us-east-1', prefix: 'test/', credentials, pathStyle: true };
  return {
    settings,
    environment: {
      S3_BUCKET: bucket,
      S3_ENDPOINT: endpoint,
      S3_REGION: settings.region,
      S3_PREFIX: settings.prefix,
      S3_ACCESS_KEY_ID: credentials.accessKeyId,
      S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      S3_PATH_STYLE: 'true',
    },
    bucketFolder,
    pid: child.pid as number,
    pause() {
      child.kill('SIGSTOP');
      // A signal takes its time, and each thread stops for itself.
      while (!isHeld(child.pid as number));
    },
    resume: () => void child.kill('SIGCONT'),
    async stop() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

function isHeld(pid: number): boolean {
  const states = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return stat.charAt(stat.lastIndexOf(')') + 2);
  });
  return states.every((state) => state === 'T');
}

/** Where `scripts/setup/go-tools.mjs` noted it to be. */
function versitygw(): string {
  const note = fileURLToPath(new URL('../../build/versitygw', import.meta.url));
  if (existsSync(note)) return readFileSync(note, 'utf8').trim();
  throw new Error(
    'versitygw, the S3 server of the tests, has not been looked for yet. Run `node scripts/setup/go-tools.mjs`.',
  );
}

async function untilAnswer(endpoint: string, child: ChildProcess, said: () => string): Promise<void> {
  for (const startedAt = performance.now(); performance.now() - startedAt < startLimitMs; await sleep(pollMs)) {
    if (child.exitCode !== null) break;
    const answer = await fetch(endpoint).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
  }
  child.kill('SIGKILL');
  throw new Error(`versitygw did not start:\n${said()}`);
}
