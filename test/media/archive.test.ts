import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { JobStats } from '../../examples/client/operations.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { expectPlayable } from '../testkit/media.js';
import { contentReport } from '../testkit/media-report.js';

// Other tests beside these may have all recorders of the shared stack for a while.
vi.setConfig({ testTimeout: 150_000 });

describe('an archive of a live page', () => {
  const stack = inject('stack');
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-archive-'));
  let kit: ArchiveKit;
  beforeAll(() => {
    kit = createArchiveKit(stack);
  });
  afterAll(async () => {
    await kit.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('plays, holds the page’s own pictures and sound together, and was followed live all the way', async () => {
    const archive = await kit.start({ width: 1280, height: 720, maxDuration: 8, name: 'Live: a/b' });
    const stats: { position: number; progress: number }[] = [];
    const watching = (async () => {
      for await (const latest of kit.tapedeck.latest(JobStats, { jobId: archive.id })) stats.push(latest);
    })();
    const events = await archive.events();
    await watching;
    const result = await archive.until('COMPLETE');
    expect(result).toMatchObject({
      status: 'COMPLETE',
      reason: 'MAXIMUM_DURATION',
      progress: 100,
      gaps: [],
      lostDuration: 0,
    });

    const file = await archive.download(folder);
    await expectPlayable(file, { width: 1280, height: 720, durationMs: 8_000, toleranceMs: 150 });
    const content = await contentReport(file);
    // How many pictures are caught is a matter of the machine's load, and of the bench; that they are the page's, in order, is not.
    expect(content).toMatchObject({ unreadable: 0, outOfOrder: 0 });
    expect(content.toneShare).toBeGreaterThan(0.8);
    expect(content.distinct).toBeGreaterThan(100);
    expect(content.avOffsetsMs.length).toBeGreaterThanOrEqual(5);
    expect(Math.abs(content.avOffsetMedianMs as number)).toBeLessThan(150);

    expect(events.map(({ sequence }) => sequence)).toEqual(
      events.map((_, index) => index + (events[0]?.sequence ?? 0)),
    );
    const states = events.flatMap((event) => (event.__typename === 'JobStateChanged' ? [event.state] : []));
    expect(['STARTING', 'RECORDING', 'FINALIZING', 'COMPLETE']).toEqual(
      expect.arrayContaining(states.filter((state) => state !== 'QUEUED')),
    );
    expect(stats.length).toBeGreaterThanOrEqual(6);
    for (const [index, { position, progress }] of stats.entries()) {
      expect(position).toBeGreaterThanOrEqual(stats[index - 1]?.position ?? 0);
      expect(progress).toBeGreaterThanOrEqual(stats[index - 1]?.progress ?? 0);
    }
  });

  test('can be read in ranges with its own token, and by nobody else', async () => {
    const archive = await kit.start({ maxDuration: 2 });
    const { downloadUrl } = await archive.until('COMPLETE');
    const whole = readFileSync(await archive.download(folder));
    const bare = (downloadUrl as string).split('?')[0];
    const range = await fetch(`${bare}?token=${archive.accessToken}`, { headers: { range: 'bytes=100-199' } });
    expect(range.status).toBe(206);
    expect(Buffer.from(await range.arrayBuffer())).toEqual(whole.subarray(100, 200));
    expect((await fetch(bare as string)).status).toBe(401);
    const other = await kit.start({ maxDuration: 1 });
    expect([403, 404]).toContain((await fetch(`${bare}?token=${other.accessToken}`)).status);
    await other.until('COMPLETE');
  });

  test('ends by itself when the page says that its session has ended', async () => {
    const archive = await kit.start({ url: `${stack.url}/demo?end=3`, maxDuration: 60 });
    const result = await archive.until('COMPLETE');
    expect(result.reason).toBe('SESSION_ENDED');
    expect(result.duration).toBeLessThan(10);
  });

  test('a page that is not there fails with a reason that says what to do, and keeps a screenshot', async () => {
    const archive = await kit.start({ url: `${stack.url}/nowhere` });
    const following = archive.events();
    const result = await archive.until('FAILED');
    expect(result.reason).toBe('PAGE_HTTP_ERROR');
    expect(result.message).toContain('404');
    const files = (await following).flatMap((event) => (event.__typename === 'JobFileAdded' ? [event.name] : []));
    expect(files.some((name) => name.endsWith('.png'))).toBe(true);
  });

  test('is canceled while it waits or starts, and then leaves nothing', async () => {
    const archive = await kit.start({});
    expect(await archive.stop()).toBe('INVALID_STATE');
    expect(['CANCELED', 'STOPPING']).toContain(await archive.cancel());
    const result = await archive.until('CANCELED');
    expect(result).toMatchObject({ downloadUrl: null, duration: null });
    expect(await archive.cancel()).toBe('INVALID_STATE');
  });
});
