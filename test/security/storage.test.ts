/** The local storage: whole files or none, and nothing outside its folder. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLocalStorage } from '../../src/storage/local.js';
import { StorageFullError, StorageKeyError } from '../../src/storage/storage.js';

const presentation = { mediaType: 'video/mp4', disposition: 'attachment' };

function folderIn(parent: string): string {
  const path = mkdtempSync(join(parent, 'tapedeck-storage-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

function fileWith(text: string, parent = tmpdir()): string {
  const path = join(folderIn(parent), 'source.mp4');
  writeFileSync(path, text);
  return path;
}

async function kept(storage: ReturnType<typeof createLocalStorage>, key: string): Promise<string | null> {
  const found = await storage.read(key, presentation);
  return found?.kind === 'path' ? readFileSync(found.path, 'utf8') : null;
}

test('keeps a file under its key, replaces it, and forgets it', async () => {
  const folder = folderIn(tmpdir());
  const storage = createLocalStorage(join(folder, 'not-yet'));
  const key = 'project/job/recording.mp4';
  expect(await storage.read(key, presentation)).toBeNull();
  const source = fileWith('first');
  await storage.put(key, source, 'video/mp4');
  await storage.put(key, source, 'video/mp4');
  expect(await kept(storage, key)).toBe('first');
  expect(readFileSync(source, 'utf8')).toBe('first');
  await storage.put(key, fileWith('second'), 'video/mp4');
  expect(await kept(storage, key)).toBe('second');
  expect(readdirSync(join(folder, 'not-yet/project/job'))).toEqual(['recording.mp4']);
  await storage.remove(key);
  await storage.remove(key);
  expect(await storage.read(key, presentation)).toBeNull();
});

test('takes no room for a file of the same file system, and copies one of another', async () => {
  const folder = folderIn(tmpdir());
  const storage = createLocalStorage(folder);
  const [near, far] = [fileWith('near'), fileWith('far', '/dev/shm')];
  await storage.put('near', near, 'text/plain');
  await storage.put('far', far, 'text/plain');
  expect(statSync(join(folder, 'near')).ino).toBe(statSync(near).ino);
  expect(await kept(storage, 'far')).toBe('far');
});

test('leaves nothing behind when the source is not there', async () => {
  const folder = folderIn(tmpdir());
  await expect(createLocalStorage(folder).put('a/b', join(folder, 'missing'), 'video/mp4')).rejects.toThrow('ENOENT');
  expect(readdirSync(join(folder, 'a'))).toEqual([]);
});

test('says how much room is missing before it fills the disk', async () => {
  const folder = folderIn(tmpdir());
  const source = fileWith('', '/dev/shm');
  // Sparse: it takes no room where it is, but would take 8 TB as a copy.
  truncateSync(source, 8e12);
  const full = createLocalStorage(folder).put('big.mp4', source, 'video/mp4');
  await expect(full).rejects.toBeInstanceOf(StorageFullError);
  await expect(full).rejects.toThrow(/source\.mp4: \d+\.\d MB are free, 8000000\.0 MB are needed/);
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  '',
  '.',
  '..',
  '../x',
  'a/../../x',
  '/etc/passwd',
  'a//b',
  'a/',
  '.hidden',
  'a/.b',
  'a\\b',
  'a\u0000b',
  'ü',
  'a b',
  'a'.repeat(513),
])('refuses the key %j', async (key) => {
  const storage = createLocalStorage(folderIn(tmpdir()));
  await expect(storage.put(key, fileWith('x'), 'text/plain')).rejects.toBeInstanceOf(StorageKeyError);
  await expect(storage.read(key, presentation)).rejects.toBeInstanceOf(StorageKeyError);
  await expect(storage.remove(key)).rejects.toBeInstanceOf(StorageKeyError);
});
