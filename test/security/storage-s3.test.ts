/** The storage that is a bucket, on a real S3 server: files whole and compared, servers that hang, and no secret in any error. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createS3Storage } from '../../src/storage/s3.js';
import { connectS3, type S3Limits, type S3Settings } from '../../src/storage/s3-connection.js';
import { createS3PartStore } from '../../src/storage/s3-parts.js';
import { StorageKeyError, StorageUnavailableError } from '../../src/storage/storage.js';
import { type S3Server, startS3 } from '../testkit/s3.js';

const folder = mkdtempSync(join(tmpdir(), 'tapedeck-s3-'));
const presentation = {
  mediaType: 'video/mp4',
  disposition: `attachment; filename="a b.mp4"; filename*=UTF-8''a%20b.mp4`,
};
const limits: S3Limits = { idleLimitMs: 5_000, attempts: 3 };

let s3: S3Server;
beforeAll(async () => {
  s3 = await startS3({ folder: join(folder, 's3') });
});
afterAll(async () => {
  await s3.stop();
  rmSync(folder, { recursive: true });
});

function storageWith(settings: Partial<S3Settings> = {}, some: Partial<S3Limits> = {}) {
  return createS3Storage(connectS3({ ...s3.settings, ...settings }, { ...limits, ...some }), { urlMs: 60_000 });
}

function fileOf(contents: Uint8Array | string): string {
  const file = join(mkdtempSync(join(folder, 'source-')), 'recording.mp4');
  writeFileSync(file, contents);
  return file;
}

async function urlOf(storage: ReturnType<typeof storageWith>, key: string): Promise<string> {
  const found = await storage.read(key, presentation);
  if (found?.kind !== 'redirect') throw new Error(`Expected a URL for ${key}, found ${JSON.stringify(found)}`);
  return found.url;
}

async function bytesAt(url: string, range?: string): Promise<Buffer> {
  const answer = await fetch(url, { headers: range ? { range } : {} });
  expect(answer.status).toBe(range ? 206 : 200);
  return Buffer.from(await answer.arrayBuffer());
}

async function unfinishedUploads(): Promise<string[]> {
  const { endpoint, region, credentials, bucket } = s3.settings;
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  return Uploads.map(({ Key = '' }) => Key);
}

test('keeps a file under its key, replaces it, and forgets it', async () => {
  const storage = storageWith();
  expect(await storage.read('a/kept.mp4', presentation)).toBeNull();
  await storage.put('a/kept.mp4', fileOf('first'), 'video/mp4');
  await storage.put('a/kept.mp4', fileOf('second'), 'video/mp4');
  expect((await bytesAt(await urlOf(storage, 'a/kept.mp4'))).toString()).toBe('second');
  await storage.remove('a/kept.mp4');
  await storage.remove('a/kept.mp4');
  expect(await storage.read('a/kept.mp4', presentation)).toBeNull();
});

test.each([0, 1, 8 * 1_048_576, 8 * 1_048_576 + 1, 20_000_003])('gives back %i bytes as they were', async (size) => {
  const contents = randomBytes(size);
  const storage = storageWith();
  await storage.put(`sizes/${size}`, fileOf(contents), 'video/mp4');
  const url = await urlOf(storage, `sizes/${size}`);
  expect((await bytesAt(url)).equals(contents)).toBe(true);
  if (size > 1) expect((await bytesAt(url, 'bytes=-100')).equals(contents.subarray(-100))).toBe(true);
  expect(await unfinishedUploads()).toEqual([]);
});

test('its URLs say what the file is, can not be made to say anything else, and end', async () => {
  const storage = storageWith();
  await storage.put('a/url.mp4', fileOf('contents'), 'video/mp4');
  const url = await urlOf(storage, 'a/url.mp4');
  const { headers } = await fetch(url);
  expect(headers.get('content-type')).toBe('video/mp4');
  expect(headers.get('content-disposition')).toBe(presentation.disposition);
  expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('60');
  const html = new URL(url);
  html.searchParams.set('response-content-type', 'text/html');
  expect((await fetch(html)).status).toBe(403);
  expect(url).not.toContain(s3.settings.credentials?.secretAccessKey);
  const brief = createS3Storage(connectS3(s3.settings, limits), { urlMs: 1_000 });
  const soonOver = await urlOf(brief, 'a/url.mp4');
  await expect.poll(async () => (await fetch(soonOver)).status, { timeout: 10_000, interval: 500 }).toBe(403);
});

test.each([
  [
    'a secret that is wrong',
    { credentials: { accessKeyId: 'tapedeck', secretAccessKey: 'not-the-secret' } },
    /S3_SECRET_ACCESS_KEY/,
  ],
  ['a bucket that is not there', { bucket: 'no-such-bucket' }, /no-such-bucket.*S3_BUCKET/],
  ['a server that is not there', { endpoint: 'http://127.0.0.1:9' }, /127\.0\.0\.1:9.*ECONNREFUSED.*S3_ENDPOINT/],
])('with %s, it says so, where, and what to check, and no secret', async (_, wrong, expected) => {
  const storage = storageWith(wrong, { attempts: 1 });
  const parts = createS3PartStore(connectS3({ ...s3.settings, ...wrong }, { ...limits, attempts: 1 }));
  const attempts = [
    () => storage.put('x', fileOf('x'), 'video/mp4'),
    () => parts.put('x', Buffer.from('x')),
    () => parts.list('x'),
  ];
  for (const attempt of attempts) {
    const error = await attempt().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StorageUnavailableError);
    expect((error as Error).message).toMatch(expected);
    const all = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).cause);
    for (const secret of ['not-the-secret', s3.settings.credentials?.secretAccessKey])
      expect(all).not.toContain(secret);
  }
});

test('a file that is not there is not taken for a failure of the storage', async () => {
  await expect(storageWith().put('x', join(folder, 'missing'), 'video/mp4')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('notices a server that hangs during an upload, and goes on when it is back', async () => {
  const contents = randomBytes(60_000_000);
  const storage = storageWith({}, { idleLimitMs: 1_000, attempts: 6 });
  const file = fileOf(contents);
  const put = storage.put('a/stalled.mp4', file, 'video/mp4');
  // Once it has begun: the first pieces are there.
  await expect.poll(unfinishedUploads, { interval: 10, timeout: 10_000 }).toEqual(['test/files/a/stalled.mp4']);
  s3.pause();
  await sleep(2_500);
  s3.resume();
  await put;
  const stored = createHash('sha256').update(await bytesAt(await urlOf(storage, 'a/stalled.mp4')));
  expect(stored.digest('hex')).toBe(createHash('sha256').update(contents).digest('hex'));
  expect(await unfinishedUploads()).toEqual([]);
});

test('gives up on a server that stays hung, and leaves no half upload behind for good', async () => {
  const file = fileOf(randomBytes(40_000_000));
  const storage = storageWith({}, { idleLimitMs: 500, attempts: 2 });
  const put = storage.put('a/hung.mp4', file, 'video/mp4').then(
    () => null,
    (error: unknown) => error,
  );
  await expect.poll(unfinishedUploads, { interval: 10, timeout: 10_000 }).toEqual(['test/files/a/hung.mp4']);
  s3.pause();
  try {
    expect(await put).toBeInstanceOf(StorageUnavailableError);
  } finally {
    s3.resume();
  }
  await storageWith().put('a/hung.mp4', file, 'video/mp4');
  expect(await unfinishedUploads()).toEqual([]);
});

test('a file that the storage holds otherwise than it was sent is an error, and is not kept', async () => {
  const { port } = new URL(s3.settings.endpoint ?? '');
  const other = storageWith();
  // Between the upload and the look at it, somebody puts as many other bytes in its place.
  const between = createServer((incoming, outgoing) => {
    const forwarded = request(
      { host: '127.0.0.1', port, path: incoming.url, method: incoming.method, headers: incoming.headers },
      async (answer) => {
        if (incoming.method === 'PUT') await other.put('a/changed.mp4', fileOf('other bytes'), 'video/mp4');
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      },
    );
    incoming.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  onTestFinished(() => between.closeAllConnections());
  onTestFinished(() => void between.close());
  const through = storageWith({ endpoint: `http://127.0.0.1:${(between.address() as AddressInfo).port}` });
  const put = through.put('a/changed.mp4', fileOf('these bytes'), 'video/mp4');
  await expect(put).rejects.toBeInstanceOf(StorageUnavailableError);
  await expect(put).rejects.toThrow(/holds 11 bytes with checksum .* where 11 bytes with .* were sent/);
  expect(await other.read('a/changed.mp4', presentation)).toBeNull();
});

test('keeps to its prefix in the bucket, and refuses keys that lead elsewhere', async () => {
  await storageWith().put('x', fileOf('x'), 'text/plain');
  await createS3PartStore(connectS3(s3.settings, limits)).put('x', Buffer.from('x'));
  expect(readdirSync(s3.bucketFolder).filter((name) => !name.startsWith('.'))).toEqual(['test']);
  expect(readdirSync(join(s3.bucketFolder, 'test')).sort()).toEqual(['files', 'parts']);
  for (const key of ['../x', '/x', 'a//b', '']) {
    await expect(storageWith().put(key, fileOf('x'), 'text/plain')).rejects.toBeInstanceOf(StorageKeyError);
    await expect(storageWith().read(key, presentation)).rejects.toBeInstanceOf(StorageKeyError);
    await expect(storageWith().remove(key)).rejects.toBeInstanceOf(StorageKeyError);
  }
});

test('lists more parts than one answer holds, and removes them', async () => {
  const store = createS3PartStore(connectS3(s3.settings, limits));
  const keys = Array.from({ length: 1_050 }, (_, index) => `many/i1/p1/${String(index).padStart(14, '0')}`);
  await store.put(keys[0] as string, Buffer.from('x'));
  // Laid beside the first one in the server's folder: a thousand requests would take their time.
  for (const key of keys.slice(1)) writeFileSync(join(s3.bucketFolder, s3.settings.prefix, 'parts', key), 'x');
  expect((await store.list('many/')).map(({ key }) => key)).toEqual(keys);
  await store.removeAll('many/');
  expect(await store.list('many/')).toEqual([]);
  await store.removeAll('many/');
});
