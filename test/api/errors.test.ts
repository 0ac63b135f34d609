import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { type Api, api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

const page = 'http://127.0.0.1:9/';
const start = `mutation($input: StartArchiveInput!) {
  startArchive(input: $input) {
    __typename
    ... on Error { code message }
    ... on ValidationError { issues { field message } }
    ... on UrlRefusedError { url }
  }
}`;
interface Started {
  startArchive: {
    __typename: string;
    code?: string;
    message?: string;
    url?: string;
    issues?: { field: string; message: string }[];
  };
}

describe('what a client can act on', () => {
  let db: Database;
  let projectId: string;
  let client: Api;
  beforeAll(async () => {
    db = createDatabase(inject('stack').databaseUrl);
    projectId = await createProject(db);
    client = api(await createKey(db, projectId));
  });
  afterAll(() => db.$disconnect());

  test.each([
    ['a negative width', { url: page, width: -1 }, 'width'],
    ['a width below the least', { url: page, width: 319 }, 'width'],
    ['a height above the most', { url: page, height: 1081 }, 'height'],
    ['a negative duration', { url: page, maxDuration: -5 }, 'maxDuration'],
    ['no duration', { url: page, maxDuration: 0 }, 'maxDuration'],
    ['a duration above the most', { url: page, maxDuration: 21_601 }, 'maxDuration'],
    ['an empty URL', { url: '' }, 'url'],
    ['a URL of 900,000 characters', { url: `http://127.0.0.1/${'x'.repeat(900_000)}` }, 'url'],
    ['a name of 900,000 characters', { url: page, name: 'x'.repeat(900_000) }, 'name'],
    ['a name with a control character', { url: page, name: 'a\u0000b' }, 'name'],
    ['a request id with a control character', { url: page, requestId: 'a\u0000b' }, 'requestId'],
    ['an empty request id', { url: page, requestId: '' }, 'requestId'],
    ['a request id of 129 characters', { url: page, requestId: 'x'.repeat(129) }, 'requestId'],
  ])('%s is a ValidationError that names the field', async (_what, input, field) => {
    const { startArchive } = await client.get<Started>(start, { input });
    expect(startArchive).toMatchObject({ __typename: 'ValidationError', code: 'VALIDATION_FAILED' });
    expect(startArchive.issues?.map((issue) => issue.field)).toEqual([field]);
    expect(JSON.stringify(startArchive).length).toBeLessThan(10_000);
  });

  test.each([
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'javascript:alert(1)',
    'http://10.0.0.1/',
    'http://169.254.169.254/latest',
    'http://[fd00::1]/',
  ])('the URL %s is refused with its reason', async (url) => {
    const { startArchive } = await client.get<Started>(start, { input: { url } });
    expect(['UrlRefusedError', 'ValidationError']).toContain(startArchive.__typename);
    expect(startArchive.message).not.toBe('');
  });

  test('every wrong field is named at once', async () => {
    const { startArchive } = await client.get<Started>(start, { input: { url: '', width: 1, maxDuration: 0 } });
    expect(startArchive.issues?.map(({ field }) => field).sort()).toEqual(['maxDuration', 'url', 'width']);
  });

  const badIds = [
    '',
    'nonsense',
    '💥',
    'x'.repeat(900_000),
    Buffer.from('Job:1').toString('base64url'),
    encodeId('Job', '01900000-0000-7000-8000-00000000000f'),
    encodeId('Project', '01900000-0000-7000-8000-00000000000f'),
    "1' OR 1=1 --",
  ];
  test.each(badIds.map((id) => [id.slice(0, 40), id]))('the id "%s" finds nothing, and says so', async (_shown, id) => {
    const query =
      'query($id: ID!) { job(id: $id) { id } archive(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }';
    expect(await client.get(query, { id })).toEqual({ job: null, archive: null, node: null, nodes: [null] });
    const mutation = `mutation($id: ID!) {
      stopArchive(input: { archiveId: $id }) { __typename ... on Error { message } }
      cancelJob(input: { jobId: $id }) { __typename }
      revokeApiKey(input: { apiKeyId: $id }) { __typename }
    }`;
    const answer = await client.get<Record<string, { __typename: string; message?: string }>>(mutation, { id });
    expect(Object.values(answer).map(({ __typename }) => __typename)).toEqual([
      'NotFoundError',
      'NotFoundError',
      'NotFoundError',
    ]);
    expect(answer.stopArchive?.message?.length).toBeLessThan(300);
  });

  test.each(['COMPLETE', 'CANCELED', 'FINALIZING'] as const)(
    'a job that is %s can be neither stopped nor canceled, and the answer says where it is',
    async (state) => {
      const jobId = await createJobRow(db, projectId, state);
      const mutation = `mutation($archiveId: ID!, $jobId: ID!) {
      stopArchive(input: { archiveId: $archiveId }) { __typename ... on InvalidStateError { code state message } }
      cancelJob(input: { jobId: $jobId }) { __typename ... on InvalidStateError { code state message } }
    }`;
      const answer = await client.get<Record<string, object>>(mutation, {
        archiveId: encodeId('Archive', jobId),
        jobId: encodeId('Job', jobId),
      });
      for (const result of Object.values(answer)) {
        expect(result).toMatchObject({
          __typename: 'InvalidStateError',
          code: 'INVALID_STATE',
          state,
          message: expect.stringContaining('can be'),
        });
      }
    },
  );

  test.each(['', 'x'.repeat(129), 'a\u0000b'])(
    'a request id that is not one is a ValidationError of stop and cancel, too',
    async (requestId) => {
      const mutation = `mutation($id: ID!, $requestId: String) {
      stopArchive(input: { archiveId: $id, requestId: $requestId }) { __typename }
      cancelJob(input: { jobId: $id, requestId: $requestId }) { __typename }
    }`;
      const id = encodeId('Archive', await createJobRow(db, projectId));
      expect(await client.get(mutation, { id, requestId })).toEqual({
        stopArchive: { __typename: 'ValidationError' },
        cancelJob: { __typename: 'ValidationError' },
      });
    },
  );

  test('a result of which only the type is asked is answered', async () => {
    expect(await client.get('mutation { startArchive(input: { url: "" }) { __typename } }')).toEqual({
      startArchive: { __typename: 'ValidationError' },
    });
    expect(await client.get('{ archives { __typename } viewer { __typename project { __typename } } }')).toEqual({
      archives: { __typename: 'ArchiveConnection' },
      viewer: { __typename: 'Viewer', project: { __typename: 'Project' } },
    });
  });

  test('the same request id answers with the first archive, and with ConflictError for another input', async () => {
    const requestId = crypto.randomUUID();
    const mutation = `mutation($input: StartArchiveInput!) {
      startArchive(input: $input) { __typename ... on StartArchivePayload { accessToken archive { id } } ... on Error { code } }
    }`;
    const url = `${inject('stack').url}/demo`;
    const send = (input: object) =>
      client.get<{ startArchive: { accessToken?: string; archive?: { id: string }; code?: string } }>(mutation, {
        input,
      });
    const first = await send({ url, requestId, maxDuration: 1 });
    const again = await send({ url, requestId, maxDuration: 1 });
    expect(first.startArchive.accessToken).toMatch(/^tdj_/);
    expect(again.startArchive).toMatchObject({ accessToken: null, archive: first.startArchive.archive });
    expect((await send({ url, requestId, maxDuration: 2 })).startArchive.code).toBe('CONFLICT');
  });
});

describe('what is wrong with a request', () => {
  test.each([
    ['a syntax error', '{', {}, 400, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', '{ nonsense }', {}, 400, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a variable of the wrong type',
      'query($id: ID!) { job(id: $id) { id } }',
      { id: { a: 1 } },
      200,
      'BAD_USER_INPUT',
    ],
    [
      'a time without an offset',
      'query($at: DateTime) { archives(filter: { createdAfter: $at }) { totalCount } }',
      { at: '2030-01-01T00:00:00' },
      200,
      'BAD_USER_INPUT',
    ],
    [
      'a day that does not exist',
      'query($at: DateTime) { archives(filter: { createdAfter: $at }) { totalCount } }',
      { at: '2030-13-01T00:00:00Z' },
      200,
      'BAD_USER_INPUT',
    ],
  ])('%s has a stable code', async (_what, query, variables, status, code) => {
    const answer = await api().send(query, variables);
    expect({ status: answer.status, code: answer.errors?.[0]?.extensions.code }).toEqual({ status, code });
  });

  test('every error carries the id of its request, which is also a header', async () => {
    const { url } = inject('stack');
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'mine-1' },
      body: JSON.stringify({ query: '{ viewer { scopes } }' }),
    });
    expect(response.headers.get('x-request-id')).toBe('mine-1');
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { requestId: 'mine-1' } }] });
  });
});
