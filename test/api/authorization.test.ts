import {
  type GraphQLField,
  type GraphQLInputType,
  GraphQLObjectType,
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isUnionType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { schema } from '../../schema/index.js';
import { openToRooms, scopeOf } from '../../schema/scopes.js';
import { allRoomScopes } from '../../src/auth/room-tokens.js';
import { createJobToken } from '../../src/auth/tokens.js';
import { allScopes } from '../../src/auth/viewer.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { testRoom } from '../testkit/room-tokens.js';

/** The least that GraphQL accepts for an argument. */
function least(type: GraphQLInputType): string {
  const inner = getNullableType(type);
  if (isListType(inner)) return '[]';
  if (isEnumType(inner)) return inner.getValues()[0]?.name ?? '';
  if (!isInputObjectType(inner)) return { Int: '1', Boolean: 'true' }[inner.toString()] ?? '"x"';
  const required = Object.values(inner.getFields()).filter((field) => isNonNullType(field.type));
  return `{${required.map((field) => `${field.name}: ${least(field.type)}`).join(', ')}}`;
}

/** A document that asks for one root field with the least it needs. */
function documentFor(kind: string, field: GraphQLField<unknown, unknown>): string {
  const required = field.args.filter((arg) => isNonNullType(arg.type)).map((arg) => `${arg.name}: ${least(arg.type)}`);
  const type = getNamedType(field.type);
  const composite = type instanceof GraphQLObjectType || isInterfaceType(type) || isUnionType(type);
  return `${kind} { ${field.name}${required.length > 0 ? `(${required.join(', ')})` : ''} ${composite ? '{ __typename }' : ''} }`;
}

const rootFields = (['Query', 'Mutation', 'Subscription'] as const).flatMap((name) => {
  const type = schema.getType(name) as GraphQLObjectType;
  return Object.values(type.getFields()).map((field) => ({
    name: `${name}.${field.name}` as keyof typeof scopeOf,
    document: documentFor(name.toLowerCase(), field),
  }));
});

describe('credentials', () => {
  let db: Database;
  let projectId: string;
  beforeAll(async () => {
    db = createDatabase(inject('stack').databaseUrl);
    projectId = await createProject(db);
  });
  afterAll(() => db.$disconnect());

  describe.each(rootFields)('$name', ({ name, document }) => {
    test('is refused without credentials', async () => {
      const { status, errors, data } = await api(null).send(document);
      expect({ status, code: errors?.[0]?.extensions.code, data: data ?? null }).toMatchObject({
        status: 401,
        code: 'UNAUTHENTICATED',
      });
    });

    test('is refused to a key that has every scope but the one it needs', async () => {
      const others = allScopes.filter((scope) => scope !== scopeOf[name] && scope !== 'admin');
      const { status, errors } = await api(await createKey(db, projectId, others)).send(document);
      expect({ status, code: errors?.[0]?.extensions.code }).toEqual({ status: 403, code: 'FORBIDDEN' });
      expect(errors?.[0]?.message).toContain(`"${scopeOf[name]}"`);
    });

    test(`is ${name in openToRooms ? 'open' : 'refused'} to the token of a room, whatever that is good for`, async () => {
      const { token } = await testRoom(db, projectId);
      const { errors } = await api(await token({ scopes: allRoomScopes })).send(document);
      const codes = errors?.map(({ extensions }) => extensions.code) ?? [];
      expect(codes.includes('FORBIDDEN')).toBe(!(name in openToRooms));
    });
  });

  test.each([
    ['an unknown key', `td_${'0'.repeat(16)}_${'x'.repeat(43)}`],
    ['something that is no token', 'nonsense'],
    ['a token of 100,000 characters', 'x'.repeat(10_000)],
  ])('%s is refused as a whole, even for what needs no scope', async (_what, token) => {
    const { status, errors, data } = await api(token).send('{ __typename }');
    expect({ status, code: errors?.[0]?.extensions.code, data }).toEqual({
      status: 401,
      code: 'UNAUTHENTICATED',
      data: undefined,
    });
  });

  test('the schema can be read by anybody, so that explorers work before they have a key', async () => {
    const { data } = await api(null).send<{ __schema: { queryType: { name: string } } }>(
      '{ __schema { queryType { name } } }',
    );
    expect(data?.__schema.queryType.name).toBe('Query');
  });

  test('one project never sees a job of another, by whatever field', async () => {
    const stranger = await createProject(db);
    const jobId = await createJobRow(db, stranger);
    const [id, key] = [encodeId('Job', jobId), await createKey(db, projectId)];
    const query = 'query($id: ID!) { job(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }';
    expect(await api(key).get(query, { id })).toEqual({ job: null, node: null, nodes: [null] });
    const mutation = 'mutation($id: ID!) { cancelJob(input: { jobId: $id }) { ... on Error { code } } }';
    expect(await api(key).get(mutation, { id })).toEqual({ cancelJob: { code: 'NOT_FOUND' } });
    const { errors } = await api(key).send('{ archives { totalCount nodes { id } } }');
    expect(errors).toBeUndefined();
  });

  describe("a job's own token", () => {
    let own: string;
    let other: string;
    let token: string;
    beforeAll(async () => {
      [own, other] = await Promise.all([createJobRow(db, projectId), createJobRow(db, projectId)]);
      const made = createJobToken(own);
      token = made.token;
      await db.job.update({ where: { id: own }, data: { accessTokenHash: made.hash } });
    });

    test('sees that job, and no other of its project', async () => {
      const [mine, theirs] = [encodeId('Job', own), encodeId('Job', other)];
      const query =
        'query($mine: ID!, $theirs: ID!) { mine: job(id: $mine) { id } theirs: job(id: $theirs) { id } nodes(ids: [$mine, $theirs]) { id } viewer { job { id } } }';
      expect(await api(token).get(query, { mine, theirs })).toEqual({
        mine: { id: mine },
        theirs: null,
        nodes: [{ id: mine }, null],
        viewer: { job: { id: mine } },
      });
    });

    test('can neither start jobs nor manage keys', async () => {
      const start = await api(token).send(
        'mutation { startArchive(input: { url: "http://127.0.0.1/" }) { __typename } }',
      );
      expect(start.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      const keys = await api(token).send<{ viewer: { project: { name: string; apiKeys: null } } }>(
        '{ viewer { project { name apiKeys { nodes { id } } } } }',
      );
      expect(keys.status).toBe(200);
      expect(keys.data?.viewer.project).toEqual({ name: 'test', apiKeys: null });
      expect(keys.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    });

    test('follows the events of that job, and of no other', async () => {
      const socket = await api(token).connect();
      await socket.init();
      const document = 'subscription($id: ID!) { jobEvents(jobId: $id) { __typename sequence } }';
      socket.subscribe('own', document, { id: encodeId('Job', own) });
      expect((await socket.next('own')).payload).toEqual({
        data: { jobEvents: { __typename: 'JobSnapshot', sequence: 1 } },
      });
      socket.subscribe('other', document, { id: encodeId('Job', other) });
      expect((await socket.next('other')).payload).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
      expect((await socket.next('other')).type).toBe('complete');
      socket.close();
    });
  });

  test('a key is created with scopes, works, and is refused at once when revoked', async () => {
    const admin = api(await createKey(db, projectId));
    const { createApiKey } = await admin.get<{
      createApiKey: { key: string; apiKey: { id: string; scopes: string[] } };
    }>(
      'mutation { createApiKey(input: { name: "reader", scopes: [JOBS_READ] }) { ... on CreateApiKeyPayload { key apiKey { id scopes } } } }',
    );
    expect(createApiKey.apiKey.scopes).toEqual(['JOBS_READ']);
    expect((await api(createApiKey.key).send('{ viewer { scopes } }')).data).toEqual({
      viewer: { scopes: ['JOBS_READ'] },
    });
    const revoke =
      'mutation($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { ... on RevokeApiKeyPayload { apiKey { revokedAt } } } }';
    const revoked = await admin.get<{ revokeApiKey: { apiKey: { revokedAt: string } } }>(revoke, {
      id: createApiKey.apiKey.id,
    });
    expect(Date.parse(revoked.revokeApiKey.apiKey.revokedAt)).not.toBeNaN();
    expect((await api(createApiKey.key).send('{ viewer { scopes } }')).status).toBe(401);
  });

  test('a signed download URL is not given to a key that may not download', async () => {
    const key = await createKey(db, projectId, ['jobs:read']);
    const jobId = await createJobRow(db, projectId, 'COMPLETE');
    await db.file.create({
      data: {
        id: crypto.randomUUID(),
        projectId,
        jobId,
        kind: 'VIDEO',
        name: 'a.mp4',
        storageKey: 'a',
        mediaType: 'video/mp4',
        sizeBytes: 1,
        sha256: new Uint8Array(32),
      },
    });
    const { status, data, errors } = await api(key).send(
      'query($id: ID!) { job(id: $id) { files { nodes { name downloadUrl } } } }',
      { id: encodeId('Job', jobId) },
    );
    expect(status).toBe(200);
    expect(data).toEqual({ job: { files: { nodes: [{ name: 'a.mp4', downloadUrl: null }] } } });
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});
