import pg from 'pg';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Turn, takeTurns } from '../../worker/rooms/turn.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';

const patience = { timeout: 30_000 };
const lock = 1;
let own: OwnDatabase;
let working: string[];
let turns: Turn[];
beforeEach(async () => {
  own = await ownDatabase();
  working = [];
  turns = [];
});
afterEach(async () => {
  await Promise.all(turns.map((turn) => turn.close()));
  await own.remove();
});

function contend(name: string, begin: () => void = () => {}): Turn {
  const turn = takeTurns({
    ...{ url: own.url, lock, log: pino({ level: 'silent' }) },
    async work() {
      begin();
      working.push(name);
      return {
        async close() {
          working = working.filter((each) => each !== name);
        },
      };
    },
  });
  turns.push(turn);
  return turn;
}

/** Breaks every connection to the database. */
const breakConnections = () =>
  own.db.$queryRaw`
    SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`;

test('one of several works, and another when it ends', async () => {
  const first = contend('first');
  await first.settled;
  const second = contend('second');
  await second.settled;
  expect(working).toEqual(['first']);
  await first.close();
  await expect.poll(() => working, patience).toEqual(['second']);
});

test('work goes on when the connection is lost, unless another has the turn then', async () => {
  const first = contend('first');
  await first.settled;
  await breakConnections();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(working).toEqual(['first']);

  // Another waits for the lock, and has it before the first one connects again.
  const other = new pg.Client({ connectionString: own.url });
  await other.connect();
  try {
    const locked = other.query('SELECT pg_advisory_lock($1)', [lock]);
    await own.db.$queryRaw`
      SELECT pg_terminate_backend(pid)::text FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = ${lock} AND granted`;
    await locked;
    await expect.poll(() => working, patience).toEqual([]);
  } finally {
    await other.end();
  }
  await expect.poll(() => working, patience).toEqual(['first']);
});

test('work that could not begin is tried again', async () => {
  let attempts = 0;
  contend('stubborn', () => {
    attempts++;
    if (attempts < 3) throw new Error('not yet');
  });
  await expect.poll(() => working, patience).toEqual(['stubborn']);
  expect(attempts).toBe(3);
});
