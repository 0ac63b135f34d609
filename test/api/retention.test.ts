/** Files whose time is over go: on time, once, whatever is away or restarts in between; and it is said before and after. */
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db.js';
import type { Prisma } from '../../src/generated/prisma/client.js';
import { createFileRemoval } from '../../src/services/file-removal.js';
import { createRetention } from '../../src/services/retention.js';
import { StorageUnavailableError } from '../../src/storage/storage.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createProject } from '../testkit/jobs.js';
import { createFileRow, createRecordingRow, createRunRow } from '../testkit/recording-rows.js';

const hour = 3_600_000;
const keptMs = 10 * 24 * hour;
const reminderMs = 24 * hour;
const ago = (ms: number) => new Date(Date.now() - ms);
const ahead = (ms: number) => new Date(Date.now() + ms);

let own: OwnDatabase;
let db: Database;
let projectId: string;
let jobId: string;
/** Keys that the storage was asked to let go of. */
let removed: string[];
let fails: ((key: string) => Error | null) | null;

beforeAll(async () => {
  own = await ownDatabase();
  db = own.db;
  projectId = await createProject(db);
});
beforeEach(async () => {
  await db.file.deleteMany();
  jobId = await createRunRow(db, projectId, await createRecordingRow(db, projectId, { deleteAfterDays: 10 }));
  removed = [];
  fails = null;
});
afterAll(() => own.remove());

function sweep() {
  const storage = {
    async remove(key: string) {
      const failure = fails?.(key);
      if (failure) throw failure;
      removed.push(key);
    },
  };
  const removal = createFileRemoval({ db, wake: () => {}, storage });
  return createRetention({ db, wake: () => {}, removal, reminderMs });
}
/** Of a recording whose files are kept for ten days. */
const file = (data: Partial<Prisma.FileUncheckedCreateInput> & { expiresAt: Date }) => {
  const id = uuid();
  const createdAt = new Date(data.expiresAt.getTime() - keptMs);
  return createFileRow(db, jobId, { id, storageKey: `key/${id}`, createdAt, ...data });
};
const now = async (id: string) => {
  const { deletedAt, removedAt, remindedAt } = await db.file.findUniqueOrThrow({ where: { id } });
  return { gone: deletedAt !== null, removed: removedAt !== null, reminded: remindedAt !== null };
};
const told = async () =>
  (await db.event.findMany({ where: { jobId, type: { startsWith: 'JobFile' } }, orderBy: { jobSequence: 'asc' } })).map(
    ({ type, payload }) => `${type} ${(payload as { name: string }).name}`,
  );

test('a file goes when its time is over, and not before', async () => {
  const [over, soon, never] = [
    await file({ expiresAt: ago(1) }),
    await file({ expiresAt: ahead(30 * hour) }),
    await createFileRow(db, await createRunRow(db, projectId, await createRecordingRow(db, projectId))),
  ];
  await sweep().run();
  expect(await now(over.id)).toEqual({ gone: true, removed: true, reminded: false });
  expect(await now(soon.id)).toEqual({ gone: false, removed: false, reminded: false });
  expect(await now(never.id)).toEqual({ gone: false, removed: false, reminded: false });
  expect(removed).toEqual([over.storageKey]);
  expect(await told()).toEqual([`JobFileRemoved ${over.name}`]);
});

test('that a file will go is said once, before, and with the time', async () => {
  const expiresAt = ahead(reminderMs - 1_000);
  const soon = await file({ expiresAt });
  await file({ expiresAt: ahead(reminderMs + hour) });
  await Promise.all([sweep().run(), sweep().run()]);
  await sweep().run();
  expect(await told()).toEqual([`JobFileExpiring ${soon.name}`]);
  const event = await db.event.findFirstOrThrow({ where: { jobId, type: 'JobFileExpiring' } });
  expect(event.payload).toEqual({
    ...{ type: 'JobFileExpiring', fileId: soon.id, name: soon.name, expiresAt: expiresAt.toISOString() },
  });
  expect(await now(soon.id)).toEqual({ gone: false, removed: false, reminded: true });
});

test('a held file neither goes nor is announced, and goes once it is let go', async () => {
  const held = await file({ expiresAt: ago(hour), held: true });
  const announced = await file({ expiresAt: ahead(hour), held: true });
  await sweep().run();
  expect([await now(held.id), await now(announced.id), await told()]).toEqual([
    { gone: false, removed: false, reminded: false },
    { gone: false, removed: false, reminded: false },
    [],
  ]);
  await db.file.updateMany({ data: { held: false } });
  await sweep().run();
  expect(await told()).toEqual([`JobFileRemoved ${held.name}`, `JobFileExpiring ${announced.name}`]);
});

test('two sweeps at once remove it once, and tell it once', async () => {
  const files = await Promise.all(Array.from({ length: 30 }, () => file({ expiresAt: ago(1) })));
  await Promise.all([sweep().run(), sweep().run(), sweep().run()]);
  expect(await told()).toHaveLength(files.length);
  expect(new Set(removed).size).toBe(files.length);
});

describe('what was cut short is finished', () => {
  test('between the row and the storage', async () => {
    const cut = await file({ expiresAt: ago(hour), deletedAt: ago(hour) });
    await sweep().run();
    expect(await now(cut.id)).toEqual({ gone: true, removed: true, reminded: false });
    expect(removed).toEqual([cut.storageKey]);
    // It was told with the row.
    expect(await told()).toEqual([]);
  });

  test('between the storage and what is written of it', async () => {
    const cut = await file({ expiresAt: ago(hour) });
    await sweep().run();
    await db.file.update({ where: { id: cut.id }, data: { removedAt: null } });
    await sweep().run();
    expect(removed).toEqual([cut.storageKey, cut.storageKey]);
    expect(await told()).toEqual([`JobFileRemoved ${cut.name}`]);
  });

  test('when the storage was away: nobody gets the file meanwhile, and it goes as soon as the storage is back', async () => {
    const [one, two] = [await file({ expiresAt: ago(2) }), await file({ expiresAt: ago(1) })];
    fails = () => new StorageUnavailableError('the bucket is away');
    await expect(sweep().run()).rejects.toThrow('the bucket is away');
    expect(await now(one.id)).toEqual({ gone: true, removed: false, reminded: false });
    fails = null;
    await sweep().run();
    expect([await now(one.id), await now(two.id)]).toEqual([
      { gone: true, removed: true, reminded: false },
      { gone: true, removed: true, reminded: false },
    ]);
    expect(await told()).toHaveLength(2);
  });

  test('one file that cannot be removed keeps no other', async () => {
    const [bad, good] = [await file({ expiresAt: ago(2) }), await file({ expiresAt: ago(1) })];
    fails = (key) => (key === bad.storageKey ? new Error('no permission') : null);
    await expect(sweep().run()).rejects.toThrow('no permission');
    expect([(await now(bad.id)).removed, (await now(good.id)).removed]).toEqual([false, true]);
  });
});

test('many go in one sweep', async () => {
  await db.file.createMany({
    data: Array.from({ length: 1_100 }, (_, index) => ({
      ...{ id: uuid(), projectId, jobId, kind: 'VIDEO' as const, name: `${index}.mp4`, storageKey: `key/${index}` },
      ...{ mediaType: 'video/mp4', sizeBytes: 1, sha256: new Uint8Array(32), createdAt: ago(keptMs + 1) },
    })),
  });
  await sweep().run();
  expect(await db.file.count({ where: { deletedAt: null } })).toBe(0);
});

test('whatever a file was delivered with, it goes when its recording says, also after a change', async () => {
  const late = await file({ expiresAt: ahead(hour), createdAt: ago(keptMs + hour) });
  const early = await file({ expiresAt: ago(hour), createdAt: ago(hour), remindedAt: new Date() });
  await sweep().run();
  expect([(await now(late.id)).gone, await now(early.id)]).toEqual([
    true,
    { gone: false, removed: false, reminded: false },
  ]);
  const { expiresAt, createdAt } = await db.file.findUniqueOrThrow({ where: { id: early.id } });
  expect((expiresAt as Date).getTime() - createdAt.getTime()).toBe(keptMs);
});

test('files of what is no recording go when they say themselves', async () => {
  await db.job.update({ where: { id: jobId }, data: { recordingId: null } });
  const [over, kept] = [await file({ expiresAt: ago(1) }), await file({ expiresAt: ahead(30 * hour) })];
  await sweep().run();
  expect([(await now(over.id)).gone, (await now(kept.id)).gone]).toEqual([true, false]);
});
