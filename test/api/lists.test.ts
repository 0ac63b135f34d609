import { PrismaPg } from '@prisma/adapter-pg';
import { execute, type GraphQLNamedType, type GraphQLObjectType, getNamedType, isLeafType, parse } from 'graphql';
import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { schema } from '../../schema/index.js';
import { createRoomTokens } from '../../src/auth/room-tokens.js';
import { createSigner } from '../../src/auth/signing.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { allScopes } from '../../src/auth/viewer.js';
import { loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { startFeed } from '../../src/events/feed.js';
import { PrismaClient } from '../../src/generated/prisma/client.js';
import { installationEpoch } from '../../src/installation.js';
import { type JobKind, type JobState, jobKinds, jobStates } from '../../src/jobs/states.js';
import { warningCodes } from '../../src/jobs/warnings.js';
import { createMediaLink } from '../../src/media/media-link.js';
import { createServices } from '../../src/services/services.js';
import { openStorage } from '../../src/storage/open.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { type Api, api } from '../testkit/api.js';
import { createProject, unheededSince } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

const url = inject('stack').databaseUrl;
let db: Database;
beforeAll(() => {
  db = createDatabase(url);
});
afterAll(() => db.$disconnect());

interface Row {
  id: string;
  createdAt: Date;
  state: JobState;
  kind: JobKind;
  roomId?: string | undefined;
  sessionId?: string | undefined;
}

/** Jobs as they are stored, with archives for those that are some, and an event each. */
async function store(projectId: string, rows: Row[], accessTokenHash: Uint8Array<ArrayBuffer> = new Uint8Array(32)) {
  const source = { kind: 'page', url: 'http://10.0.0.1/', width: 640, height: 480, fps: 30, loadTimeoutMs: 1_000 };
  await db.job.createMany({
    data: rows.map((row) => ({
      ...{
        ...row,
        projectId,
        source,
        accessTokenHash,
        maxDurationMs: 10_000,
        eventSequence: 1,
        stateSince: unheededSince,
      },
    })),
  });
  await db.archive.createMany({
    data: rows
      .filter(({ kind }) => kind === 'ARCHIVE')
      .map(({ id, createdAt }) => ({ id, projectId, createdAt, name: 'a', url: source.url, width: 640, height: 480 })),
  });
  await db.$executeRaw`
    INSERT INTO event (project_id, job_id, job_seq, type, payload)
    SELECT project_id, id, 1, 'JobBegun', '{"type":"JobBegun"}' FROM job WHERE id = ANY(${rows.map(({ id }) => id)}::uuid[])`;
}

/** So many rows, a second apart, the newest last; of the states and kinds in turns, if not told. */
function rowsOf(
  count: number,
  { state, kind }: { state?: JobState; kind?: JobKind } = {},
  startMs = Date.now(),
): Row[] {
  return Array.from({ length: count }, (_, index) => {
    const msecs = startMs - (count - index) * 1_000;
    return {
      id: uuid({ msecs }),
      // A row is written a little later than its id is made.
      createdAt: new Date(msecs + (index % 7)),
      state: state ?? (jobStates[index % jobStates.length] as JobState),
      kind: kind ?? (jobKinds[index % 3 === 0 ? 0 : index % jobKinds.length] as JobKind),
    };
  });
}

async function projectOfTest(): Promise<{ projectId: string; client: Api }> {
  const projectId = await createProject(db);
  return { projectId, client: api(await createKey(db, projectId)) };
}

interface Page {
  nodes: { id: string }[];
  pageInfo: { endCursor: string | null; startCursor: string | null; hasNextPage: boolean; hasPreviousPage: boolean };
  totalCount: number;
}

type Kind = 'jobs' | 'archives';
const nodeType = { jobs: 'Job', archives: 'Archive' } as const;

/** One page of a list; `args` and `filter` in the words of GraphQL. */
async function page(client: Api, kind: Kind, args: string, filter = '{}'): Promise<Page> {
  const answer = await client.get<{ list: Page }>(
    `{ list: ${kind}(filter: ${filter} ${args}) {
         nodes { id } pageInfo { endCursor startCursor hasNextPage hasPreviousPage } totalCount } }`,
  );
  return answer.list;
}

const uuids = ({ nodes }: Pick<Page, 'nodes'>): string[] =>
  nodes.map(({ id }) => Buffer.from(id, 'base64url').toString().split(':')[1] as string);

/** The ids of all pages, in the order of the list; `between` is done after each page. */
async function walk(
  client: Api,
  kind: Kind,
  direction: 'forwards' | 'backwards',
  { filter = '{}', between = async (_last: string | undefined) => {} } = {},
): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null = null;
  for (;;) {
    const forwards = direction === 'forwards';
    const place: string = cursor === null ? '' : `${forwards ? 'after' : 'before'}: "${cursor}"`;
    const { pageInfo, ...rest }: Page = await page(client, kind, `${forwards ? 'first' : 'last'}: 7 ${place}`, filter);
    const ids = uuids(rest);
    if (forwards) found.push(...ids);
    else found.unshift(...ids);
    await between(forwards ? ids.at(-1) : ids[0]);
    cursor = forwards ? pageInfo.endCursor : pageInfo.startCursor;
    if (!(forwards ? pageInfo.hasNextPage : pageInfo.hasPreviousPage)) return found;
  }
}

describe.each(['jobs', 'archives'] as const)('the list of %s', (kind) => {
  test.each(['forwards', 'backwards'] as const)('walked %s has every row once, the newest first', async (direction) => {
    const { projectId, client } = await projectOfTest();
    const rows = rowsOf(33, { kind: 'ARCHIVE' });
    await store(projectId, rows);
    expect(await walk(client, kind, direction)).toEqual(rows.map(({ id }) => id).reverse());
  });

  test.each(['forwards', 'backwards'] as const)(
    'walked %s has every row once, also while rows are added',
    async (direction) => {
      const { projectId, client } = await projectOfTest();
      const rows = rowsOf(33, { kind: 'ARCHIVE' });
      await store(projectId, rows);
      const added: string[] = [];
      const between = async () => {
        const [row] = rowsOf(1, { kind: 'ARCHIVE' }, Date.now() + 1_000) as [Row];
        await store(projectId, [row]);
        added.unshift(row.id);
      };
      const found = await walk(client, kind, direction, { between });
      const old = rows.map(({ id }) => id).reverse();
      expect(found.filter((id) => !added.includes(id))).toEqual(old);
      // Newer ones come before the first page, so that only who walks towards them meets them.
      expect(found.length - old.length).toBe(direction === 'forwards' ? 0 : added.length - 1);
    },
  );

  test.each(['forwards', 'backwards'] as const)(
    'walked %s misses no row when the one at the cursor no longer fits the filter',
    async (direction) => {
      const { projectId, client } = await projectOfTest();
      const rows = rowsOf(33, { kind: 'ARCHIVE', state: 'QUEUED' });
      await store(projectId, rows);
      const between = async (last: string | undefined) => {
        await db.job.updateMany({ where: { id: last ?? projectId }, data: { state: 'CANCELED' } });
      };
      const found = await walk(client, kind, direction, { filter: '{ states: [QUEUED, SCHEDULED] }', between });
      expect(found).toEqual(rows.map(({ id }) => id).reverse());
    },
  );

  test('has what fits every condition of its filter, and counts it', async () => {
    const { projectId, client } = await projectOfTest();
    const rows = rowsOf(60);
    await store(projectId, rows);
    const candidates = rows.filter((row) => kind === 'jobs' || row.kind === 'ARCHIVE').reverse();
    const [late, early] = [rows[40], rows[15]] as [Row, Row];
    const conditions: { text: string; fits(row: Row): boolean }[][] = [
      [
        { text: '', fits: () => true },
        { text: 'states: [QUEUED]', fits: ({ state }) => state === 'QUEUED' },
        { text: 'states: [PAUSED, COMPLETE, PAUSED]', fits: ({ state }) => ['PAUSED', 'COMPLETE'].includes(state) },
        { text: 'states: []', fits: () => false },
        { text: 'states: null', fits: () => true },
      ],
      [
        { text: '', fits: () => true },
        { text: `createdAfter: "${early.createdAt.toISOString()}"`, fits: (row) => row.createdAt > early.createdAt },
      ],
      [
        { text: '', fits: () => true },
        { text: `createdBefore: "${late.createdAt.toISOString()}"`, fits: (row) => row.createdAt < late.createdAt },
      ],
      kind === 'archives'
        ? [{ text: '', fits: () => true }]
        : [
            { text: '', fits: () => true },
            { text: 'kinds: [TASK, RENDER]', fits: (row) => row.kind === 'TASK' || row.kind === 'RENDER' },
          ],
    ];
    const [states = [], afters = [], befores = [], kinds = []] = conditions;
    for (const state of states)
      for (const after of afters)
        for (const before of befores)
          for (const ofKind of kinds) {
            const all = [state, after, before, ofKind];
            const filter = `{ ${all.map(({ text }) => text).join(' ')} }`;
            const fitting = candidates.filter((row) => all.every(({ fits }) => fits(row))).map(({ id }) => id);
            const [first, last] = [
              await page(client, kind, 'first: 9', filter),
              await page(client, kind, 'last: 9', filter),
            ];
            expect({ filter, ids: uuids(first), count: first.totalCount }).toEqual({
              ...{ filter, ids: fitting.slice(0, 9), count: fitting.length },
            });
            expect({ filter, ids: uuids(last) }).toEqual({ filter, ids: fitting.slice(-9) });
          }
  });

  test("has no row of another project, and with a job's own token that job alone, whatever is asked for", async () => {
    const [mine, other] = [await projectOfTest(), await projectOfTest()];
    const { token, hash } = createJobToken(uuid());
    const [own, ...others] = rowsOf(5, { kind: 'ARCHIVE', state: 'COMPLETE' }) as [Row, ...Row[]];
    const holder = createJobToken(own.id);
    await store(mine.projectId, others);
    await store(mine.projectId, [own], holder.hash);
    await store(other.projectId, rowsOf(3, { kind: 'ARCHIVE', state: 'COMPLETE' }), hash);
    expect((await page(mine.client, kind, 'first: 50')).totalCount).toBe(5);
    for (const filter of ['{}', '{ states: [COMPLETE] }', '{ createdAfter: "2020-01-01T00:00:00Z" }']) {
      expect(uuids(await page(mine.client, kind, 'first: 50', filter))).toHaveLength(5);
      const seen = await page(api(holder.token), kind, 'first: 50', filter);
      expect({ filter, ids: uuids(seen), count: seen.totalCount }).toEqual({ filter, ids: [own.id], count: 1 });
    }
    expect(uuids(await page(api(holder.token), kind, 'first: 50', '{ states: [FAILED] }'))).toEqual([]);
    // A cursor of a row that is not seen is a place all the same.
    const { endCursor } = (await page(mine.client, kind, 'first: 2')).pageInfo;
    expect(uuids(await page(api(holder.token), kind, `first: 5, after: "${endCursor}"`))).toEqual([own.id]);
    expect((await api(token).send(`{ ${kind} { totalCount } }`)).status).toBe(401);
    expect((await api(null).send(`{ ${kind} { totalCount } }`)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    const starter = api(await createKey(db, mine.projectId, ['jobs:start']));
    expect((await starter.send(`{ ${kind} { totalCount } }`)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

test('jobs can be listed of a room or of a session; an id of anything else finds none', async () => {
  const { projectId, client } = await projectOfTest();
  const [room, session] = [uuid(), uuid()];
  await db.room.create({ data: { id: room, projectId, name: 'lobby', streamKey: room } });
  await db.session.create({ data: { id: session, projectId, roomId: room, playbackId: session } });
  const rows = rowsOf(12).map((row, index) => ({
    ...row,
    roomId: index < 8 ? room : undefined,
    sessionId: index < 4 ? session : undefined,
  }));
  await store(projectId, rows);
  const ids = rows.map(({ id }) => id);
  const listed = async (filter: string) => uuids(await page(client, 'jobs', 'first: 20', `{ ${filter} }`));
  expect(await listed(`roomId: "${encodeId('Room', room)}"`)).toEqual(ids.slice(0, 8).reverse());
  expect(await listed(`sessionId: "${encodeId('Session', session)}"`)).toEqual(ids.slice(0, 4).reverse());
  const state = rows[2]?.state as JobState;
  expect(await listed(`roomId: "${encodeId('Room', room)}", states: [${state}]`)).toEqual([ids[2]]);
  for (const id of ['nonsense', encodeId('Room', session), encodeId('Job', ids[0] as string)])
    expect(await listed(`roomId: "${id}"`)).toEqual([]);
  expect(await listed(`sessionId: "${encodeId('Room', room)}"`)).toEqual([]);
  expect(await listed('roomId: null, sessionId: null')).toEqual([...ids].reverse());
});

describe('a page with everything that belongs to its rows', () => {
  let counted: PrismaClient<'query'>;
  let context: object;
  let statements = 0;
  let close: () => Promise<unknown>;
  beforeAll(async () => {
    counted = new PrismaClient({
      adapter: new PrismaPg({ connectionString: url }),
      log: [{ emit: 'event', level: 'query' }],
    });
    counted.$on('query', () => {
      statements++;
    });
    const config = loadConfig({ DATA_DIR: inject('stack').dataDir, TEMPORAL_ADDRESS: inject('stack').temporalAddress });
    const client = createTemporalClient(config);
    const feed = startFeed({ url, db, log: pino({ level: 'silent' }), onRewound: () => {} });
    const log = pino({ level: 'silent' });
    const services = createServices({
      ...{ config, db: counted, feed, storage: openStorage(config).files, signer: createSigner(db) },
      ...{ engine: createEngine(client), epoch: await installationEpoch(db) },
      ...{ roomTokens: createRoomTokens(db), media: createMediaLink({ address: null, log }), log },
    });
    const projectId = await createProject(db);
    await storeWithRelations(projectId, 30);
    const viewer = { kind: 'key', projectId, keyId: uuid(), scopes: allScopes };
    context = { viewer, services, database: counted, requestId: 'test', ending: new AbortController() };
    close = () => Promise.all([feed.close(), client.connection.close(), counted.$disconnect()]);
  });
  afterAll(async () => {
    // No workflow will ever give their places back: they would keep all recorders of the shared stack from other tests.
    await db.placement.deleteMany({ where: { job: { stateSince: unheededSince } } });
    await close();
  });

  /** Jobs of a session and a room, with archives, places in the queue, and two each of everything a job has several of. */
  async function storeWithRelations(projectId: string, count: number) {
    const [roomId, sessionId] = [uuid(), uuid()];
    await db.room.create({ data: { id: roomId, projectId, name: 'lobby', streamKey: roomId } });
    await db.session.create({ data: { id: sessionId, projectId, roomId, playbackId: sessionId } });
    const rows = rowsOf(count, { kind: 'ARCHIVE', state: 'QUEUED' });
    await store(
      projectId,
      rows.map((row) => ({ ...row, roomId, sessionId })),
    );
    const twice = rows.flatMap(({ id }) => [1, 2].map((number) => ({ jobId: id, number, projectId })));
    const now = new Date();
    await db.placement.createMany({ data: rows.map(({ id: jobId }) => ({ jobId })) });
    await db.part.createMany({
      data: twice.map((each) => ({ ...each, incarnation: 1, startedAt: now, durationMs: 5 })),
    });
    await db.jobWarning.createMany({
      data: twice.map(({ number, ...each }) => ({
        ...each,
        code: warningCodes[number] as string,
        raisedAt: now,
        message: 'm',
      })),
    });
    await db.file.createMany({
      data: twice.map(({ number, ...each }) => ({
        ...{ ...each, id: uuid(), kind: number === 1 ? 'VIDEO' : 'THUMBNAIL', name: `${number}`, storageKey: uuid() },
        ...{ mediaType: 'video/mp4', sizeBytes: 1n, sha256: new Uint8Array(32) },
      })),
    });
    const zero = { frames: 0n, bytes: 0n, positionMs: 0n, dropped: 0n, duplicated: 0n, pageFrames: 0n };
    const rates = { fps: 0, bitrate: 0, speed: 1, progress: 0, incarnation: 1, updatedAt: now };
    await db.jobStats.createMany({ data: rows.map(({ id: jobId }) => ({ jobId, ...zero, ...rates })) });
  }

  /** All fields of a type, those of what it refers to, and theirs, so many levels deep. */
  function everything(type: GraphQLNamedType, levels: number): string {
    const fields = Object.values((type as GraphQLObjectType).getFields());
    const texts = fields.map(({ name, type: fieldType }) => {
      const named = getNamedType(fieldType);
      if (isLeafType(named)) return name;
      if (name === 'edges' || name === 'pageInfo') return '';
      const isPage = named.name.endsWith('Connection');
      if (!isPage && levels === 0) return '';
      return `${name}${isPage ? '(first: 3)' : ''} { ${everything(named, isPage ? levels : levels - 1)} }`;
    });
    return texts.filter(Boolean).join(' ') || '__typename';
  }

  async function countOf(document: string): Promise<number> {
    statements = 0;
    const { data, errors } = await execute({ schema, document: parse(document), contextValue: context });
    expect(errors).toBeUndefined();
    expect(data).toBeTruthy();
    return statements;
  }

  test.each(['jobs', 'archives'] as const)('of %s takes as many statements as a page of one row', async (kind) => {
    const type = schema.getType(nodeType[kind]) as GraphQLNamedType;
    const document = (first: number) => `{ ${kind}(first: ${first}) { totalCount nodes { ${everything(type, 1)} } } }`;
    // Keys that sign are read once for all.
    await countOf(document(1));
    const one = await countOf(document(1));
    expect(one).toBeGreaterThan(0);
    expect(await countOf(document(30))).toBe(one);
  });

  test('of jobs takes one statement when all are listed, two when filtered', async () => {
    const selection = '{ nodes { id state warnings { code } files { nodes { name } } } }';
    expect(await countOf(`{ jobs(first: 20) ${selection} }`)).toBe(1);
    expect(await countOf(`{ jobs(first: 20, filter: { states: [QUEUED] }) ${selection} }`)).toBe(2);
  });
});
