import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase } from '../../src/db.js';
import { limits } from '../../src/http/limits.js';
import { api, type GraphqlError } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

const repeat = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => part(index)).join(' ');

/** `depth` fields within each other. */
const deep = (depth: number) =>
  `{ viewer { job { ${'archive { job { '.repeat(Math.floor((depth - 3) / 2))}${(depth - 3) % 2 ? 'archive { id }' : 'id'}${' } }'.repeat(Math.floor((depth - 3) / 2))} } } }`;

interface Outcome {
  /** Of HTTP only. */
  status?: number;
  message?: string | undefined;
  code?: string | undefined;
}

/** What becomes of a document over HTTP and over WebSocket; no message and no code when it is answered. */
const transports: [string, (document: string) => Promise<Outcome>][] = [
  [
    'HTTP',
    async (document) => {
      const { status, errors } = await api().send(document);
      return { status, ...(errors ? { message: errors[0]?.message, code: errors[0]?.extensions.code } : {}) };
    },
  ],
  [
    'WebSocket',
    async (document) => {
      const socket = await api().connect();
      onTestFinished(() => socket.close());
      await socket.init();
      socket.subscribe('1', document);
      const { type, payload } = await socket.next('1');
      const answer = payload as { errors?: GraphqlError[] };
      const errors = type === 'error' ? (payload as GraphqlError[]) : answer.errors;
      return errors ? { message: errors[0]?.message, code: errors[0]?.extensions.code } : {};
    },
  ],
];

describe.each(transports)('over %s a document may have', (transport, outcome) => {
  const answered: Outcome = transport === 'HTTP' ? { status: 200 } : {};
  const refused = (message: string, code = 'LIMIT_EXCEEDED'): Outcome => ({
    ...(transport === 'HTTP' ? { status: 400 } : {}),
    message,
    code,
  });

  test(`${limits.depth} fields within each other, not one more`, async () => {
    expect(await outcome(deep(limits.depth))).toEqual(answered);
    expect(await outcome(deep(limits.depth + 1))).toEqual(
      refused(`The operation is ${limits.depth + 1} fields deep; at most ${limits.depth} are allowed.`),
    );
  });

  test(`${limits.aliases} aliases, not one more, even if fragments hide them`, async () => {
    const direct = (count: number) => `{ ${repeat(count, (index) => `a${index}: __typename`)} }`;
    expect(await outcome(direct(limits.aliases))).toEqual(answered);
    const hidden = `{ ...a ...b } fragment a on Query { ${repeat(10, (index) => `a${index}: __typename`)} } fragment b on Query { ...a b: __typename }`;
    for (const document of [direct(limits.aliases + 1), hidden]) {
      expect(await outcome(document)).toEqual(
        refused(`The operation has ${limits.aliases + 1} aliases; at most ${limits.aliases} are allowed.`),
      );
    }
  });

  test(`${limits.tokens} tokens, not one more`, async () => {
    // There are 16 around the list.
    const document = (tokens: number) =>
      `{ archives(filter: { states: [${repeat(tokens - 16, () => 'QUEUED')}] }) { totalCount } }`;
    expect(await outcome(document(limits.tokens))).toEqual(answered);
    expect(await outcome(document(limits.tokens + 1))).toEqual(
      refused(`The document has more than ${limits.tokens} tokens. Split it up.`),
    );
  });

  test(`a cost of ${limits.complexity} with every row of its pages, not one more`, async () => {
    const files = (first: number) => `files(first: ${first}) { nodes { id } }`;
    // 1 + 100 x (1 + 1 + 1 + 2 x 23), and 1 + 49 x 2.
    const dear = `{ archives(first: 100) { nodes { job { ${files(23)} } } } b: archives(first: 49) { nodes { id } } }`;
    expect(await outcome(dear)).toEqual(answered);
    // 1 + 40 x (1 + 1 + 1 + 2 x 61).
    expect(await outcome(`{ archives(first: 40) { nodes { job { ${files(61)} } } } }`)).toEqual(
      refused(
        `The operation costs ${limits.complexity + 1}; at most ${limits.complexity} is allowed. Ask for smaller pages or fewer fields.`,
        'COMPLEXITY_LIMIT',
      ),
    );
  });
});

describe('a document may have', () => {
  test('no cycle of fragments, which is answered and not followed', async () => {
    const { status, errors } = await api().send('{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }');
    expect(status).toBe(400);
    expect(errors?.[0]?.message).toContain('Cannot spread fragment');
  });

  test('fragments that double each other sixty times, which is found out at once', async () => {
    const fragments = repeat(60, (index) => `fragment f${index} on Query { ...f${index + 1} ...f${index + 1} }`);
    const { errors } = await api().send(`{ ...f0 } ${fragments} fragment f60 on Query { __typename }`);
    expect(errors?.[0]?.extensions.code).toBe('COMPLEXITY_LIMIT');
  });
});

describe('pages', () => {
  test.each([
    ['first: 101', /`first` must be from 1 to 100, not 101/],
    ['first: 0', /`first` must be from 1 to 100/],
    ['first: -1', /`first` must be from 1 to 100/],
    ['last: 101', /`last` must be from 1 to 100/],
    ['first: 1, last: 1', /not both/],
    ['after: "nonsense"', /`after` must be a cursor/],
    [`after: "${Buffer.from('GPC:S:1').toString('base64')}"`, /`after` must be a cursor/],
  ])('archives(%s) is refused with the reason', async (args, message) => {
    const { status, errors } = await api().send(`{ archives(${args}) { nodes { id } } }`);
    expect({ status, code: errors?.[0]?.extensions.code }).toEqual({ status: 200, code: 'BAD_USER_INPUT' });
    expect(errors?.[0]?.message).toMatch(message);
  });

  test('nodes takes 100 ids, not one more', async () => {
    const query = 'query($ids: [ID!]!) { nodes(ids: $ids) { id } }';
    expect((await api().send(query, { ids: Array(100).fill('x') })).data).toEqual({ nodes: Array(100).fill(null) });
    expect((await api().send(query, { ids: Array(101).fill('x') })).errors?.[0]?.extensions.code).toBe(
      'BAD_USER_INPUT',
    );
  });
});

describe('bodies', () => {
  const { url, apiKey } = inject('stack');
  const post = (body: string) =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
      body,
    });
  const ofLength = (bytes: number) => {
    const frame = JSON.stringify({ query: '{ __typename }', variables: { x: '' } });
    return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`);
  };

  test('up to the limit are read, a byte more is refused with 413', async () => {
    expect((await post(ofLength(limits.bodyBytes))).status).toBe(200);
    const refused = await post(ofLength(limits.bodyBytes + 1));
    expect(refused.status).toBe(413);
    await refused.body?.cancel();
  });
});

describe('a WebSocket', () => {
  test('that says nothing is closed with 4408', async () => {
    const socket = await api().connect();
    expect(await socket.closed).toBe(4408);
  });

  test('whose message is as long as the limit is answered, and a byte more is closed with 1009', async () => {
    const frame = JSON.stringify({ id: '1', type: 'subscribe', payload: { query: '{ __typename }#' } });
    const ofLength = (bytes: number) => frame.replace('#', `#${'x'.repeat(bytes - frame.length)}`);
    const socket = await api().connect();
    await socket.init();
    socket.sendRaw(ofLength(limits.bodyBytes));
    expect(await socket.next('1')).toMatchObject({ type: 'next', payload: { data: { __typename: 'Query' } } });
    socket.sendRaw(ofLength(limits.bodyBytes + 1));
    expect(await socket.closed).toBe(1009);
  });

  test(`carries ${limits.operationsPerSocket} operations at once, and refuses one more without harm to the others`, async () => {
    const db = createDatabase(inject('stack').databaseUrl);
    onTestFinished(() => db.$disconnect());
    const projectId = await createProject(db);
    const jobId = await createJobRow(db, projectId, 'COMPLETE');
    const socket = await api(await createKey(db, projectId)).connect();
    onTestFinished(() => socket.close());
    await socket.init();
    const follow = (id: string) =>
      socket.subscribe(id, 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }', {
        id: encodeId('Job', jobId),
      });
    const tell = async (ids: readonly string[]) => {
      const sequence = await happen(db, jobId);
      for (const id of ids) {
        expect(await socket.next(id)).toMatchObject({ type: 'next', payload: { data: { jobEvents: { sequence } } } });
      }
      expect(socket.received).toEqual([]);
    };
    const refuse = async (id: string) => {
      follow(id);
      expect(await socket.next(id)).toMatchObject({
        type: 'error',
        payload: [
          {
            message: `At most ${limits.operationsPerSocket} operations at once are allowed on one connection.`,
            extensions: { code: 'LIMIT_EXCEEDED' },
          },
        ],
      });
    };
    const ids = Array.from({ length: limits.operationsPerSocket }, (_, index) => String(index));
    for (const id of ids) follow(id);
    for (const id of ids) expect((await socket.next(id)).type).toBe('next');
    await refuse('one more');
    await tell(ids);
    socket.send({ id: '0', type: 'complete' });
    follow('another');
    expect((await socket.next('another')).type).toBe('next');
    await refuse('one more');
    await tell([...ids.slice(1), 'another']);
  });
});
