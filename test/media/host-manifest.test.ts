import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hostFiles, type ManifestEntry } from '../../src/jobs/capture.js';
import { findRecorded } from '../../worker/finalize/recorded.js';
import { readManifest } from '../../worker/parts/manifest.js';

test('a manifest with lines that were spoiled is read without them, once and from anywhere', async () => {
  const jobFolder = mkdtempSync(join(tmpdir(), 'tapedeck-manifest-'));
  onTestFinished(() => rmSync(jobFolder, { recursive: true }));
  const folder = join(jobFolder, 'i1');
  mkdirSync(folder);
  const manifest = join(folder, hostFiles.manifest);
  const started: ManifestEntry = { type: 'part-started', part: 1, at: 1 };
  const ended: ManifestEntry = { type: 'part-ended', part: 1, at: 9, durationMs: 8, bytes: 5, cause: 'STOPPED' };
  const lines = [JSON.stringify(started), '\0\0\0\0', 'null', '{"type":"first-fr', JSON.stringify(ended)];
  writeFileSync(manifest, `${lines.join('\n')}\n{"type":"en`);
  writeFileSync(join(folder, 'p1.mkv'), 'media');

  const first = readManifest(folder);
  expect(first).toMatchObject({ entries: [started, ended], brokenLines: 3 });
  expect((await findRecorded(jobFolder)).parts).toMatchObject([{ zeroAt: 1, endCause: 'STOPPED' }]);
  appendFileSync(manifest, 'ded","at":10,"outcome":{"kind":"stopped"}}\n');
  expect(readManifest(folder, first.nextByte)).toMatchObject({
    entries: [{ type: 'ended', at: 10, outcome: { kind: 'stopped' } }],
    brokenLines: 0,
  });
});
