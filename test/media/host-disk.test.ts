import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { HostSpec } from '../../src/jobs/capture.js';
import { readStatus, startHost } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

const megabyte = 1_048_576;

describe.runIf(canMount())('a disk that fills up', () => {
  test('is told of, and ends the recording in good order before it is full', async () => {
    const disk = smallDisk(64);
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`, { within: disk, diskReserveBytes: 16 * megabyte });
    await host.recordedFor(1_000);
    expect(readStatus(host.folder)?.warnings).toEqual([]);
    writeFileSync(join(disk, 'filler'), Buffer.alloc(free(disk) - 24 * megabyte));
    await host.warning('DISK_LOW', true);
    expect(readStatus(host.folder)?.phase).toBe('RECORDING');
    writeFileSync(join(disk, 'filler-too'), Buffer.alloc(free(disk) - 15 * megabyte));
    expect(await host.outcome()).toMatchObject({
      kind: 'failed',
      failure: { reason: 'DISK_FULL', message: expect.stringMatching(/1\d MB are free .* recording ends below 16 MB/) },
    });
    const ended = await host.entry('part-ended', 1);
    expect(ended).toMatchObject({ cause: 'STOPPED' });
    const media = await decode(host.part(1));
    expect(Math.abs(media.durationMs - ended.durationMs)).toBeLessThan(150);
    expect(host.leftovers()).toEqual([]);
  });

  test('at one blow leaves a part that can be read, a whole manifest and no torn file', async () => {
    const disk = smallDisk(24);
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`, { within: disk, diskReserveBytes: 1 * megabyte });
    await host.recordedFor(1_000);
    expect(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(24 * megabyte))).toThrow(/ENOSPC/);
    expect(await host.outcome()).toMatchObject({ kind: 'failed', failure: { reason: 'DISK_FULL' } });
    await host.entry('part-ended', 1);
    expect((await decode(host.part(1), { cutOff: true })).durationMs).toBeGreaterThan(500);
    for (const name of readdirSync(host.folder).filter((name) => name.endsWith('.json'))) {
      expect(() => JSON.parse(readFileSync(join(host.folder, name), 'utf8'))).not.toThrow();
    }
    expect(host.leftovers()).toEqual([]);
  });

  test('ends the recording while there is room to join it with what earlier hosts recorded', async () => {
    const disk = smallDisk(42);
    const url = await servePages({ '/': livePage() });
    const settings = { within: disk, diskReserveBytes: 1 * megabyte };
    const host = await hostOn(`${url}/`, { ...settings, recordedBefore: { bytes: 40 * megabyte, parts: 1 } });
    expect(await host.outcome()).toMatchObject({
      kind: 'failed',
      failure: { reason: 'DISK_FULL', message: expect.stringMatching(/recording ends below 4[12] MB/) },
    });
  });

  test('or cannot be written lets no host start, and it is told which of these it is', async () => {
    const disk = smallDisk(1);
    const filler = join(disk, 'filler');
    expect(() => writeFileSync(filler, Buffer.alloc(2 * megabyte))).toThrow(/ENOSPC/);
    expect(await startIn(join(disk, 'i1'))).toMatchObject({ name: 'HostStartError', code: 'DISK_FULL' });
    // Enough for what the worker writes, not for the host's own files.
    truncateSync(filler, megabyte - 40_000);
    expect(await startIn(join(disk, 'i2'))).toMatchObject({ name: 'HostStartError', code: 'DISK_FULL' });
    expect(await startIn(join(filler, 'i3'))).toMatchObject({ name: 'HostStartError', code: 'NOT_STARTED' });
    rmSync(filler);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    expect(await startIn(join(disk, 'i4'))).toMatchObject({ name: 'HostStartError', code: 'NOT_STARTED' });
  });
});

/** Answers why no host started in this folder. */
async function startIn(folder: string): Promise<unknown> {
  const spec = { hold: null, diskReserveBytes: megabyte } as HostSpec;
  return startHost(folder, spec, { taskToken: '', attempt: 1, renewedAt: Date.now() }).catch((error: unknown) => error);
}

/** A file system of its own, unmounted when the test is finished. */
function smallDisk(megabytes: number): string {
  const disk = mkdtempSync(join(tmpdir(), 'tapedeck-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tapedeck-test', disk]);
  onTestFinished(() => {
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  });
  return disk;
}

function free(disk: string): number {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
}

function canMount(): boolean {
  return spawnSync('unshare', ['--mount', 'true']).status === 0;
}
