import { execute, parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { schema } from '../../schema/index.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { createDatabase, type Database } from '../../src/db.js';
import { createStats } from '../../src/services/stats.js';
import { api, type Message } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createSession, writeJobStats, writeSessionStats } from '../testkit/stats.js';

const jobStats = `subscription($id: ID!, $interval: Int) { jobStats(jobId: $id, interval: $interval) { frames size position dropped fps duplicated progress bitrateKbits outTime job { id state }
   link { bitrate rtt bufferDelay packetsReceived packetsLost packetsRetransmitted packetsDropped receiveCapacity activeStreams } } }`;
const sessionStats =
  'subscription($id: ID!, $interval: Int) { sessionStats(sessionId: $id, interval: $interval) { sourceBytes transcodedBytes ingestRate outgoingRate isHealthy issues } }';
const activeStats =
  'subscription($interval: Int) { activeStats(interval: $interval) { at total stats { frames job { id } } } }';

interface ActiveData {
  activeStats: { at: string; total: number; stats: { frames: string; job: { id: string } }[] };
}

describe('statistics by the API', () => {
  let db: Database;
  let projectId: string;
  let key: string;
  beforeAll(async () => {
    db = createDatabase(inject('stack').databaseUrl);
    projectId = await createProject(db);
    key = await createKey(db, projectId);
  });
  afterAll(() => db.$disconnect());

  async function open(token = key) {
    const socket = await api(token).connect();
    await socket.init();
    return socket;
  }
  async function createTokenFor(jobId: string): Promise<string> {
    const { token, hash } = createJobToken(jobId);
    await db.job.update({ where: { id: jobId }, data: { accessTokenHash: hash } });
    return token;
  }
  const dataOf = <Data>({ payload }: Message) => (payload as { data: Data }).data;

  test('jobStats tells the value now, each newer one with the job as it then is, and ends with the job', async () => {
    const jobId = await createJobRow(db, projectId, 'RECORDING');
    const id = encodeId('Job', jobId);
    await writeJobStats(db, jobId, 5_000_000);
    const socket = await open();
    socket.subscribe('1', jobStats, { id });
    expect((await socket.next('1')).payload).toEqual({
      data: {
        jobStats: {
          ...{ frames: '5000000', size: '5000000000', position: 165_000, dropped: '1', duplicated: '2' },
          ...{ fps: 29.97, progress: 12.5, job: { id, state: 'RECORDING' }, bitrateKbits: 2_500, outTime: '165000000' },
          link: {
            ...{ bitrate: 2_400_000, rtt: 12.5, bufferDelay: 118, packetsReceived: 5_000_000_000, packetsLost: 3 },
            ...{ packetsRetransmitted: 2, packetsDropped: 1, receiveCapacity: 90_000_000, activeStreams: 1 },
          },
        },
      },
    });
    await writeJobStats(db, jobId, 600);
    expect((await socket.next('1')).payload).toMatchObject({ data: { jobStats: { frames: '600', position: 19.8 } } });
    await writeJobStats(db, jobId, 900);
    await db.job.update({ where: { id: jobId }, data: { state: 'COMPLETE' } });
    expect((await socket.next('1')).payload).toMatchObject({ data: { jobStats: { frames: '900' } } });
    expect((await socket.next('1')).type).toBe('complete');
    socket.close();
  });

  test('sessionStats tells the value now, each newer one, and ends with the session', async () => {
    const { sessionId } = await createSession(db, projectId);
    const socket = await open();
    socket.subscribe('1', sessionStats, { id: encodeId('Session', sessionId) });
    await writeSessionStats(db, sessionId, 5_000_000_000);
    expect((await socket.next('1')).payload).toEqual({
      data: {
        sessionStats: {
          ...{
            sourceBytes: '5000000000',
            transcodedBytes: '10000000000',
            ingestRate: 125_000.5,
            outgoingRate: 250_000,
          },
          ...{ isHealthy: false, issues: ['No audio arrives.', 'Packets are lost.'] },
        },
      },
    });
    await writeSessionStats(db, sessionId, 6_000_000_000);
    expect((await socket.next('1')).payload).toMatchObject({ data: { sessionStats: { sourceBytes: '6000000000' } } });
    await db.session.update({ where: { id: sessionId }, data: { endedAt: new Date() } });
    expect((await socket.next('1')).type).toBe('complete');
    socket.close();
  });

  test('activeStats tells all active jobs of the project, asked once or followed, and with the token of a job that one', async () => {
    const [mine, theirs] = [await createProject(db), await createProject(db)];
    const [own, other, foreign] = await Promise.all(
      [mine, mine, theirs].map((project) => createJobRow(db, project, 'RECORDING')),
    );
    for (const jobId of [own, other, foreign]) await writeJobStats(db, jobId as string, 30);
    const ids = [own, other].map((jobId) => encodeId('Job', jobId as string)).sort();
    const idsIn = ({ activeStats: { stats } }: ActiveData) => stats.map(({ job }) => job.id).sort();
    const myKey = await createKey(db, mine);

    const once = await api(myKey).get<ActiveData>('{ activeStats { at total stats { frames job { id } } } }');
    expect([once.activeStats.total, idsIn(once)]).toEqual([2, ids]);
    expect(Math.abs(Date.parse(once.activeStats.at) - Date.now())).toBeLessThan(60_000);

    const sockets = [await open(myKey), await open(await createTokenFor(own as string))] as const;
    for (const socket of sockets) socket.subscribe('1', activeStats);
    const [all, one] = [dataOf<ActiveData>(await sockets[0].next('1')), dataOf<ActiveData>(await sockets[1].next('1'))];
    expect([all.activeStats.total, idsIn(all)]).toEqual([2, ids]);
    expect([one.activeStats.total, idsIn(one)]).toEqual([1, [encodeId('Job', own as string)]]);
    await db.job.update({ where: { id: own }, data: { state: 'COMPLETE' } });
    expect(dataOf<ActiveData>(await sockets[0].next('1')).activeStats.total).toBe(1);
    expect(dataOf<ActiveData>(await sockets[1].next('1')).activeStats).toMatchObject({ total: 0, stats: [] });
    for (const socket of sockets) socket.close();
  });

  test('there is at most one value in an interval, and it is the newest', async () => {
    const jobId = await createJobRow(db, projectId, 'RECORDING');
    await writeJobStats(db, jobId, 1);
    const socket = await open();
    const since = performance.now();
    socket.subscribe('1', jobStats, { id: encodeId('Job', jobId), interval: 2 });
    const told: number[] = [];
    const tell = async () => {
      const { jobStats } = dataOf<{ jobStats: { frames: string } }>(await socket.next('1'));
      told.push(Number(jobStats.frames));
    };
    await tell();
    for (let frames = 2; frames <= 20; frames++) await writeJobStats(db, jobId, frames);
    while (told.at(-1) !== 20) await tell();
    expect(told).toEqual([...new Set(told)].sort((one, other) => one - other));
    // Values may come a tenth early. How many there are depends on how long the writing took.
    expect(performance.now() - since).toBeGreaterThan((told.length - 1) * 1_700);
    socket.close();
  });

  test.each([
    ['jobStats', jobStats, 'Job'],
    ['sessionStats', sessionStats, 'Session'],
    ['activeStats', activeStats, 'Job'],
  ])('%s refuses an interval that is not from 1 to 60 seconds', async (_name, document, type) => {
    const socket = await open();
    const id = encodeId(type, crypto.randomUUID());
    for (const interval of [0, -1, 61]) {
      socket.subscribe(`${interval}`, document, { id, interval });
      const { payload } = await socket.next(`${interval}`);
      expect(JSON.stringify(payload)).toContain('VALIDATION_FAILED');
      expect(JSON.stringify(payload)).toContain(`from 1 to 60, not ${interval}`);
    }
    socket.close();
  });

  test('of what the viewer may not see there are none, as of what is not there', async () => {
    const stranger = await createProject(db);
    const [foreignJob, ownJob, otherJob] = [
      await createJobRow(db, stranger, 'RECORDING'),
      await createJobRow(db, projectId, 'RECORDING'),
      await createJobRow(db, projectId, 'RECORDING'),
    ];
    const [foreign, unrelated] = [await createSession(db, stranger), await createSession(db, projectId)];
    const refused = async (token: string, document: string, id: string) => {
      const socket = await open(token);
      socket.subscribe('1', document, { id });
      expect((await socket.next('1')).payload).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
      socket.close();
    };
    const token = await createTokenFor(ownJob);
    await refused(key, jobStats, encodeId('Job', foreignJob));
    await refused(key, jobStats, encodeId('Session', unrelated.sessionId));
    await refused(key, jobStats, 'nonsense');
    await refused(token, jobStats, encodeId('Job', otherJob));
    await refused(key, sessionStats, encodeId('Session', foreign.sessionId));
    await refused(key, sessionStats, encodeId('Job', ownJob));
    await refused(token, sessionStats, encodeId('Session', unrelated.sessionId));
  });

  test('what was told is shown as it was told, whatever is selected: no query a value, one for the jobs of 1,000', async () => {
    let queries = 0;
    const counted = db.$extends({
      query: {
        $allOperations({ args, query }) {
          queries++;
          return query(args);
        },
      },
    }) as unknown as Database;
    const jobIds = await Promise.all(Array.from({ length: 20 }, () => createJobRow(db, projectId, 'RECORDING')));
    const told = [];
    for (const jobId of jobIds) told.push(await writeJobStats(db, jobId, 1));
    for (const jobId of jobIds) await writeJobStats(db, jobId, 2);
    const services = { stats: createStats({ db: counted } as Parameters<typeof createStats>[0]) };
    const viewer = { kind: 'key', projectId, keyId: '', scopes: ['jobs:read'] };
    const contextValue = { services, viewer, database: counted };
    const run = async (selection: string, rootValue: unknown) => {
      queries = 0;
      const document = parse(`subscription { ${selection} }`);
      return { ...(await execute({ schema, document, rootValue, contextValue })), queries };
    };

    const scalars = 'frames fps bitrate size position speed dropped duplicated progress updatedAt';
    const single = await run(`jobStats(jobId: "x") { ${scalars} }`, told[0]);
    expect(single).toMatchObject({ queries: 0, data: { jobStats: { frames: '1', fps: 29.97 } } });
    expect(single.errors).toBeUndefined();

    const active = { at: new Date(), total: jobIds.length, stats: told };
    const flat = await run(`activeStats { at total stats { ${scalars} } }`, active);
    expect(flat).toMatchObject({ queries: 0, data: { activeStats: { stats: jobIds.map(() => ({ frames: '1' })) } } });

    const nested = await run('activeStats { stats { frames job { id state archive { name } } } }', active);
    expect(nested).toMatchObject({
      queries: 1,
      data: { activeStats: { stats: jobIds.map((jobId) => ({ frames: '1', job: { id: encodeId('Job', jobId) } })) } },
    });
    expect(nested.errors).toBeUndefined();
  });
});
