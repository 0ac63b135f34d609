import { describe, expect, inject, test } from 'vitest';
import { limits } from '../../src/http/limits.js';
import { api } from '../testkit/api.js';

const repeat = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => part(index)).join(' ');

/** `depth` fields within each other. */
const deep = (depth: number) =>
  `{ viewer { job { ${'archive { job { '.repeat(Math.floor((depth - 3) / 2))}${(depth - 3) % 2 ? 'archive { id }' : 'id'}${' } }'.repeat(Math.floor((depth - 3) / 2))} } } }`;

describe('a document may have', () => {
  test(`${limits.depth} fields within each other, not one more`, async () => {
    expect((await api().send(deep(limits.depth))).errors).toBeUndefined();
    const { status, errors } = await api().send(deep(limits.depth + 1));
    expect(status).toBe(400);
    expect(errors?.[0]).toMatchObject({
      message: `The operation is ${limits.depth + 1} fields deep; at most ${limits.depth} are allowed.`,
      extensions: { code: 'LIMIT_EXCEEDED' },
    });
  });

  test(`${limits.aliases} aliases, not one more, even if fragments hide them`, async () => {
    const direct = (count: number) => `{ ${repeat(count, (index) => `a${index}: __typename`)} }`;
    expect((await api().send(direct(limits.aliases))).errors).toBeUndefined();
    const hidden = `{ ...a ...b } fragment a on Query { ${repeat(10, (index) => `a${index}: __typename`)} } fragment b on Query { ...a b: __typename }`;
    for (const document of [direct(limits.aliases + 1), hidden]) {
      const { status, errors } = await api().send(document);
      expect({ status, message: errors?.[0]?.message, code: errors?.[0]?.extensions.code }).toEqual({
        status: 400,
        message: `The operation has ${limits.aliases + 1} aliases; at most ${limits.aliases} are allowed.`,
        code: 'LIMIT_EXCEEDED',
      });
    }
  });

  test(`${limits.tokens} tokens, not one more`, async () => {
    // There are 16 around the list.
    const document = (tokens: number) =>
      `{ archives(filter: { states: [${repeat(tokens - 16, () => 'QUEUED')}] }) { totalCount } }`;
    expect((await api().send(document(limits.tokens))).errors).toBeUndefined();
    const { status, errors } = await api().send(document(limits.tokens + 1));
    expect({ status, message: errors?.[0]?.message, code: errors?.[0]?.extensions.code }).toEqual({
      status: 400,
      message: `The document has more than ${limits.tokens} tokens. Split it up.`,
      code: 'LIMIT_EXCEEDED',
    });
  });

  test('a cost that counts every row of its pages', async () => {
    const page = (first: number) =>
      `{ archives(first: ${first}) { nodes { job { files(first: 100) { nodes { id } } } } } }`;
    expect((await api().send(page(20))).errors).toBeUndefined();
    const { status, errors } = await api().send(page(100));
    expect({ status, code: errors?.[0]?.extensions.code }).toEqual({ status: 400, code: 'COMPLEXITY_LIMIT' });
    expect(errors?.[0]?.message).toMatch(/^The operation costs \d+; at most 5000 is allowed\./);
  });

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

  test('whose message is longer than the limit is closed with 1009', async () => {
    const socket = await api().connect();
    await socket.init();
    socket.subscribe('1', `{ __typename } # ${'x'.repeat(limits.bodyBytes)}`);
    expect(await socket.closed).toBe(1009);
  });

  test(`carries ${limits.operationsPerSocket} operations at once, and refuses one more without harm to the others`, async () => {
    const { startArchive } = await api().get<{ startArchive: { archive: { id: string } } }>(
      `mutation { startArchive(input: { url: "${inject('stack').url}/demo", maxDuration: 1 }) { ... on StartArchivePayload { archive { id } } } }`,
    );
    const socket = await api().connect();
    await socket.init();
    const follow = (id: string) =>
      socket.subscribe(id, 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }', {
        id: startArchive.archive.id,
      });
    for (let index = 0; index < limits.operationsPerSocket; index++) {
      follow(String(index));
      expect((await socket.next(String(index))).type).toBe('next');
    }
    follow('one more');
    expect(await socket.next('one more')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'LIMIT_EXCEEDED' } }],
    });
    socket.send({ id: '0', type: 'complete' });
    socket.send({ type: 'ping' });
    expect((await socket.next()).type).toBe('pong');
    follow('another');
    expect((await socket.next('another')).type).toBe('next');
    socket.close();
  });
});
