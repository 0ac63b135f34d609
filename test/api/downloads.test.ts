/** Downloads: who gets a file, which bytes of it, and what everybody else is told. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as openRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.js';
import { createSigner } from '../../src/auth/signing.js';
import { createJobToken } from '../../src/auth/tokens.js';
import type { KeyViewer } from '../../src/auth/viewer.js';
import { createDatabase } from '../../src/db.js';
import type { File, Prisma } from '../../src/generated/prisma/client.js';
import { ValidationError } from '../../src/services/errors.js';
import { createFiles, type Files } from '../../src/services/files.js';
import { createKeys } from '../../src/services/keys.js';
import { createDownloadHandler } from '../../src/storage/downloads.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { createS3Storage } from '../../src/storage/s3.js';
import { connectS3 } from '../../src/storage/s3-connection.js';
import type { Storage } from '../../src/storage/storage.js';
import { type S3Server, startS3 } from '../testkit/s3.js';

const db = createDatabase(inject('stack').databaseUrl);
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-downloads-'));
const storage = createLocalStorage(join(folder, '.data', 'files'));
const signer = createSigner(db);
const failures: unknown[] = [];
const contents = randomBytes(300_000);
const sha256 = new Uint8Array(createHash('sha256').update(contents).digest());

let files: Files;
let base = '';
const server = createServer((request, response) => void handle(request, response));
let handle: ReturnType<typeof createDownloadHandler>;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  files = createFiles({ db, storage, signer, config: { publicUrl: base, downloadUrlMs: 60_000 } });
  handle = createDownloadHandler({
    files,
    authenticator: createAuthenticator(db),
    onError: (error) => failures.push(error),
  });
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await db.$disconnect();
  rmSync(folder, { recursive: true });
  expect(failures).toEqual([]);
});

interface Stored {
  file: File;
  url: string;
  jobToken: string;
  /** Makes a key of the file's project. */
  key(...scopes: string[]): Promise<string>;
}

async function stored(data: Partial<Prisma.FileUncheckedCreateInput> = {}): Promise<Stored> {
  const [projectId, jobId, id] = [uuid(), uuid(), uuid()];
  const { token, hash } = createJobToken(jobId);
  await db.project.create({ data: { id: projectId, name: 'test' } });
  await db.job.create({
    data: {
      id: jobId,
      projectId,
      kind: 'ARCHIVE',
      state: 'COMPLETE',
      source: {},
      maxDurationMs: 1000,
      accessTokenHash: hash,
    },
  });
  const storageKey = `${projectId}/${jobId}/recording.mp4`;
  const source = join(folder, id);
  writeFileSync(source, contents);
  await storage.put(storageKey, source, 'video/mp4');
  const row = {
    id,
    projectId,
    jobId,
    kind: 'VIDEO',
    name: 'recording.mp4',
    storageKey,
    mediaType: 'video/mp4',
    sizeBytes: contents.length,
    sha256,
  } as const;
  const file = await db.file.create({ data: { ...row, ...data } });
  const viewer: KeyViewer = { kind: 'key', projectId, keyId: uuid(), scopes: ['files:read', 'jobs:read'] };
  const key = async (...scopes: string[]) => (await createKeys({ db }).create({ name: 'test', scopes }, viewer)).key;
  return { file, url: `${base}/files/${id}/${file.name}`, jobToken: token, key };
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

async function codeOf(response: Response): Promise<{ status: number; code: string }> {
  const body = await response.json();
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(JSON.stringify(body)).not.toContain(folder);
  expect(body).toEqual({ error: { code: expect.any(String), message: expect.stringMatching(/\.$/) } });
  return { status: response.status, code: body.error.code };
}

describe('gives the file', () => {
  test('by a signed URL, with all that a client needs to know of it', async () => {
    const { file } = await stored();
    const response = await fetch(await files.downloadUrl(file));
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).equals(contents)).toBe(true);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': String(contents.length),
      'content-disposition': `attachment; filename="recording.mp4"; filename*=UTF-8''recording.mp4`,
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
      'referrer-policy': 'no-referrer',
      'last-modified': file.createdAt.toUTCString(),
      etag: `"${Buffer.from(sha256).toString('base64url')}"`,
    });
  });

  test('by an API key and by the token of its job, in a header or in the address, with or without its name', async () => {
    const { url, jobToken, key } = await stored();
    for (const token of [jobToken, await key('files:read')]) {
      expect((await fetch(url, bearer(token))).status).toBe(200);
      expect((await fetch(url, { headers: { 'x-access-token': token } })).status).toBe(200);
      expect((await fetch(`${url}?token=${token}`)).status).toBe(200);
      expect((await fetch(`${url.slice(0, url.lastIndexOf('/'))}?token=${token}`)).status).toBe(200);
    }
  });

  test('without any credentials if it is public', async () => {
    const { url } = await stored({ visibility: 'PUBLIC' });
    expect((await fetch(url)).status).toBe(200);
  });

  test('for the head alone, without its bytes', async () => {
    const { file } = await stored();
    const response = await fetch(await files.downloadUrl(file), { method: 'HEAD' });
    expect(response.headers.get('content-length')).toBe(String(contents.length));
    expect((await response.arrayBuffer()).byteLength).toBe(0);
  });

  test('to be shown in the browser if asked for, unless it could run script there', async () => {
    const video = await stored();
    const page = await stored({ mediaType: 'text/html', name: 'ü "x".html' });
    const shown = await fetch(`${await files.downloadUrl(video.file)}&inline=1`);
    const saved = await fetch(`${await files.downloadUrl(page.file)}&inline=1`);
    expect(shown.headers.get('content-disposition')).toMatch(/^inline; /);
    expect(saved.headers.get('content-disposition')).toBe(
      `attachment; filename="_ _x_.html"; filename*=UTF-8''%C3%BC%20%22x%22.html`,
    );
  });
});

describe('gives a range', () => {
  async function range(value: string, extra: Record<string, string> = {}): Promise<Response> {
    const { file } = await stored();
    return fetch(await files.downloadUrl(file), { headers: { range: value, ...extra } });
  }

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=100-199', 100, 200],
    ['bytes=299000-', 299_000, 300_000],
    ['bytes=-500', 299_500, 300_000],
    ['bytes=299999-400000', 299_999, 300_000],
  ])('for %s', async (value, from, to) => {
    const response = await range(value);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${from}-${to - 1}/${contents.length}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(contents.subarray(from, to))).toBe(true);
  });

  test('only of the file it was begun with', async () => {
    const etag = `"${Buffer.from(sha256).toString('base64url')}"`;
    expect((await range('bytes=0-9', { 'if-range': etag })).status).toBe(206);
    expect((await range('bytes=0-9', { 'if-range': '"another"' })).status).toBe(200);
    // Without a word on caching, fetch itself asks for a fresh answer.
    expect((await range('bytes=0-9', { 'if-none-match': etag, 'cache-control': 'max-age=0' })).status).toBe(304);
    expect(await codeOf(await range('bytes=0-9', { 'if-match': '"another"' }))).toMatchObject({ status: 412 });
  });

  test('whole when several are asked for or the header makes no sense, and an error beyond the end', async () => {
    expect((await range('bytes=0-9,20-29')).status).toBe(200);
    expect((await range('lines=1-2')).status).toBe(200);
    const beyond = await range('bytes=300000-');
    expect(beyond.headers.get('content-range')).toBe('bytes */300000');
    expect(await codeOf(beyond)).toEqual({ status: 416, code: 'RANGE_NOT_SATISFIABLE' });
  });
});

describe('refuses', () => {
  test('whoever has no credentials, or bad ones, alike for files that exist and that do not', async () => {
    const { url } = await stored();
    for (const each of [url, `${base}/files/${uuid()}/recording.mp4`, `${base}/files/nonsense`]) {
      expect(await codeOf(await fetch(each))).toEqual({ status: 401, code: 'UNAUTHENTICATED' });
      expect(await codeOf(await fetch(`${each}?token=bad`))).toEqual({ status: 401, code: 'UNAUTHENTICATED' });
      expect(await codeOf(await fetch(each, { headers: { authorization: 'Basic YTpi' } }))).toMatchObject({
        status: 401,
      });
    }
  });

  test('a key without the scope, alike for files that exist and that do not', async () => {
    const { url, key } = await stored();
    const token = await key('jobs:read');
    expect(await codeOf(await fetch(url, bearer(token)))).toEqual({ status: 403, code: 'FORBIDDEN' });
    expect(await codeOf(await fetch(`${base}/files/${uuid()}`, bearer(token)))).toEqual({
      status: 403,
      code: 'FORBIDDEN',
    });
  });

  test("another project's key and another job's token as if there were no such file", async () => {
    const [one, other] = [await stored(), await stored()];
    const answers = await Promise.all([
      fetch(one.url, bearer(await other.key('files:read'))),
      fetch(one.url, bearer(other.jobToken)),
      fetch(`${base}/files/${uuid()}/x`, bearer(other.jobToken)),
    ]);
    const bodies = await Promise.all(answers.map((answer) => answer.text()));
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(new Set(bodies).size).toBe(1);
  });

  test('a file that was deleted; one that only its place does not have is said to be missing', async () => {
    const marked = await stored({ deletedAt: new Date(), visibility: 'PUBLIC' });
    const lost = await stored();
    await storage.remove(lost.file.storageKey);
    expect(await codeOf(await fetch(await files.downloadUrl(marked.file)))).toEqual({ status: 410, code: 'GONE' });
    const missing = await fetch(await files.downloadUrl(lost.file));
    expect(await missing.clone().text()).toContain('was not deleted');
    expect(await codeOf(missing)).toEqual({ status: 404, code: 'NOT_IN_STORAGE' });
    expect(await codeOf(await fetch(marked.url))).toEqual({ status: 401, code: 'UNAUTHENTICATED' });
  });

  test('anything but reading', async () => {
    const { file } = await stored();
    const response = await fetch(await files.downloadUrl(file), { method: 'DELETE' });
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(await codeOf(response)).toEqual({ status: 405, code: 'METHOD_NOT_ALLOWED' });
  });

  test.each([
    '/files/',
    '/files/a/b/c',
    '/files/../../etc/passwd',
    '/files/..%2f..%2fetc%2fpasswd/x',
    '//files/x',
    '/files/%00',
    '/files?token=a?b',
    '*',
  ])('the path %s', async (path) => {
    const { port } = server.address() as AddressInfo;
    const status = await new Promise((resolve, reject) => {
      const outgoing = openRequest({ port, host: '127.0.0.1', path }, (incoming) =>
        resolve(incoming.resume().statusCode),
      );
      outgoing.on('error', reject).end();
    });
    expect([401, 404]).toContain(status);
  });
});

describe('a signed URL', () => {
  test('is refused when any part of it was changed', async () => {
    const [{ file }, other] = [await stored(), await stored()];
    const url = new URL(await files.downloadUrl(file));
    const changed = (name: string, value: string) => {
      const copy = new URL(url);
      copy.searchParams.set(name, value);
      return copy.href;
    };
    const exp = url.searchParams.get('exp') ?? '';
    const sig = url.searchParams.get('sig') ?? '';
    const tampered = [
      url.href.replace(file.id, other.file.id),
      changed('exp', String(Number(exp) + 1)),
      changed('exp', '9'.repeat(13)),
      changed('exp', ''),
      changed('sig', `${sig.startsWith('A') ? 'B' : 'A'}${sig.slice(1)}`),
      changed('sig', ''),
      changed('kid', '0'.repeat(16)),
      changed('kid', "' OR 1=1 --"),
      `${base}/files/${file.id}?kid=${url.searchParams.get('kid')}`,
    ];
    for (const each of tampered) expect(await codeOf(await fetch(each))).toEqual({ status: 403, code: 'FORBIDDEN' });
  });

  test('ends when it should', async () => {
    const { file } = await stored();
    const signature = await signer.sign(file.id, new Date(Date.now() - 1000));
    const response = await fetch(`${base}/files/${file.id}?${new URLSearchParams({ ...signature })}`);
    expect((await response.clone().json()).error.message).toContain('expired');
    expect(await codeOf(response)).toEqual({ status: 403, code: 'FORBIDDEN' });
    for (const expiresInMs of [0, -1, Number.NaN, 8 * 24 * 3_600_000]) {
      await expect(files.downloadUrl(file, { expiresInMs })).rejects.toBeInstanceOf(ValidationError);
    }
  });

  test('is good at every replica, also when all start at once', async () => {
    const replicas = Array.from({ length: 8 }, () => createSigner(db));
    const id = uuid();
    const expiresAt = new Date(Date.now() + 60_000);
    const signatures = await Promise.all(replicas.map((each) => each.sign(id, expiresAt)));
    expect(new Set(signatures.map(({ sig }) => sig)).size).toBe(1);
    for (const each of replicas) expect(await each.verify(id, signatures[0] as (typeof signatures)[0])).toBe('valid');
  });
});

describe('from a bucket', () => {
  let s3: S3Server;
  let bucket: Storage;
  let bucketUrl = '';
  const bucketServer = createServer((request, response) => void handleBucket(request, response));
  let handleBucket: ReturnType<typeof createDownloadHandler>;

  beforeAll(async () => {
    s3 = await startS3({ folder: join(folder, 's3') });
    bucket = createS3Storage(connectS3(s3.settings, { idleLimitMs: 5_000, attempts: 1 }), { urlMs: 60_000 });
    await new Promise<void>((resolve) => bucketServer.listen(0, '127.0.0.1', resolve));
    bucketUrl = `http://127.0.0.1:${(bucketServer.address() as AddressInfo).port}`;
    handleBucket = createDownloadHandler({
      files: createFiles({ db, storage: bucket, signer, config: { publicUrl: bucketUrl, downloadUrlMs: 60_000 } }),
      authenticator: createAuthenticator(db),
      onError: (error) => bucketFailures.push(error),
    });
  });
  afterAll(async () => {
    bucketServer.closeAllConnections();
    bucketServer.close();
    await s3.stop();
  });
  const bucketFailures: unknown[] = [];

  /** A file whose bytes are in the bucket only; `url` with credentials. */
  async function storedInBucket(): Promise<{ file: File; url: string }> {
    const { file, key } = await stored();
    const source = join(folder, uuid());
    writeFileSync(source, contents);
    await bucket.put(file.storageKey, source, file.mediaType);
    await storage.remove(file.storageKey);
    return { file, url: `${bucketUrl}/files/${file.id}/${file.name}?token=${await key('files:read')}` };
  }

  test('it is given by a redirect to a URL that ends, which is not kept and shows no credentials of ours', async () => {
    const { url } = await storedInBucket();
    const response = await fetch(url, { redirect: 'manual' });
    expect(response.status).toBe(302);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    const location = new URL(response.headers.get('location') ?? '');
    expect(location.origin).toBe(s3.settings.endpoint);
    expect(location.searchParams.get('X-Amz-Expires')).toBe('60');
    expect(location.href).not.toContain(new URL(url).searchParams.get('token'));
  });

  test('a client that follows gets it whole or in ranges, named and typed as from anywhere else', async () => {
    const { url } = await storedInBucket();
    const whole = await fetch(url);
    expect(Buffer.from(await whole.arrayBuffer()).equals(contents)).toBe(true);
    expect(whole.headers.get('content-type')).toBe('video/mp4');
    expect(whole.headers.get('content-disposition')).toBe(
      `attachment; filename="recording.mp4"; filename*=UTF-8''recording.mp4`,
    );
    expect((await fetch(`${url}&inline=1`)).headers.get('content-disposition')).toMatch(/^inline/);
    const range = await fetch(url, { headers: { range: 'bytes=100-199' } });
    expect(range.status).toBe(206);
    expect(range.headers.get('content-range')).toBe(`bytes 100-199/${contents.length}`);
    expect(Buffer.from(await range.arrayBuffer()).equals(contents.subarray(100, 200))).toBe(true);
  });

  test('one that is not there is missing, and nobody without credentials gets as far as the bucket', async () => {
    const { file, url } = await storedInBucket();
    expect(await codeOf(await fetch(`${bucketUrl}/files/${file.id}/${file.name}`))).toMatchObject({ status: 401 });
    await bucket.remove(file.storageKey);
    expect(await codeOf(await fetch(url))).toEqual({ status: 404, code: 'NOT_IN_STORAGE' });
    expect(bucketFailures).toEqual([]);
  });

  test('a bucket that cannot be reached is to be tried again soon, and nothing is said of it', async () => {
    const { url } = await storedInBucket();
    s3.pause();
    try {
      const answer = await fetch(url);
      expect(await answer.clone().text()).not.toContain(s3.settings.bucket);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(await codeOf(answer)).toEqual({ status: 503, code: 'UNAVAILABLE' });
      expect(bucketFailures).toMatchObject([{ code: 'STORAGE_UNAVAILABLE' }]);
    } finally {
      s3.resume();
    }
  });
});
