/** How often listeners are told that there is something to read. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createWake, type Wake } from '../../src/events/outbox.js';

const { databaseUrl } = inject('stack');
/** Of src/events/outbox.ts. */
const intervalMs = 5;

describe('announcements', () => {
  let db: Database;
  let listener: pg.Client;
  let channels: [string, string];
  let heard: string[];
  let wake: Wake;

  beforeAll(async () => {
    db = createDatabase(databaseUrl, 1);
    listener = new pg.Client({ connectionString: databaseUrl });
    await listener.connect();
    listener.on('notification', ({ channel }) => heard.push(channel));
    await db.$executeRaw`SELECT 1`;
  });
  beforeEach(async () => {
    heard = [];
    channels = [`test_${randomUUID()}`, `test_${randomUUID()}`];
    for (const channel of channels) await listener.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    // Time goes on when the test says so; the way to the database is real.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    wake = createWake(db);
  });
  afterEach(() => vi.useRealTimers());
  afterAll(async () => {
    await listener.end();
    await db.$disconnect();
  });

  /** How many were sent so far: what is announced last, in one connection, is heard behind all others. */
  async function sent(channel = channels[0]): Promise<number> {
    const last = `test_${randomUUID()}`;
    await listener.query(`LISTEN ${pg.escapeIdentifier(last)}`);
    // Not by polling, which sets the clock forward.
    const arrived = new Promise<void>((resolve) => {
      listener.on('notification', ({ channel: name }) => name === last && resolve());
    });
    await db.$executeRaw`SELECT pg_notify(${last}, '')`;
    await arrived;
    return heard.filter((name) => name === channel).length;
  }

  test('are sent at once, and then once for all that are asked for within 5 ms, so that none is lost', async () => {
    const [channel] = channels;
    wake(channel);
    expect(await sent()).toBe(1);
    for (let times = 0; times < 100; times++) wake(channel);
    vi.advanceTimersByTime(intervalMs - 1);
    wake(channel);
    expect(await sent()).toBe(1);
    vi.advanceTimersByTime(1);
    expect(await sent()).toBe(2);
    wake(channel);
    expect(await sent()).toBe(2);
    vi.advanceTimersByTime(intervalMs);
    expect(await sent()).toBe(3);
    vi.advanceTimersByTime(100 * intervalMs);
    expect(await sent()).toBe(3);
    wake(channel);
    expect(await sent()).toBe(4);
  });

  test('of one channel do not wait for those of another', async () => {
    const [one, other] = channels;
    wake(one);
    wake(one);
    wake(other);
    expect([await sent(one), await sent(other)]).toEqual([1, 1]);
    vi.advanceTimersByTime(intervalMs);
    expect([await sent(one), await sent(other)]).toEqual([2, 1]);
  });
});
