/** Credentials on their way in: how they are read, and what is refused before anything is asked of the database. */
import { describe, expect, test } from 'vitest';
import { credentialsFromConnectionParams, credentialsFromHeaders } from '../../src/auth/credentials.js';
import { createApiKeyToken, createJobToken, isSameHash, parseToken } from '../../src/auth/tokens.js';
import { allScopes, grantedBy } from '../../src/auth/viewer.js';

const jobId = '01939f5e-1111-7abc-8def-0123456789ab';

test('reads back the keys it makes, and no two are alike', () => {
  const [one, other] = [createApiKeyToken(), createApiKeyToken()];
  expect(parseToken(one.token)).toEqual({ kind: 'key', prefix: one.prefix, hash: one.hash });
  expect(one.token.startsWith(`${one.prefix}_`)).toBe(true);
  expect(new Set([one.token, other.token, one.prefix, other.prefix]).size).toBe(4);
  expect(isSameHash(one.hash, other.hash)).toBe(false);
});

test("reads back a job's token with the job's id", () => {
  const { token, hash } = createJobToken(jobId);
  expect(parseToken(token)).toEqual({ kind: 'job', jobId, hash });
  expect(token).not.toContain('-'.repeat(2));
  expect(token).not.toContain(Buffer.from(hash).toString('hex'));
});

test('refuses what cannot be a credential', () => {
  const { token } = createApiKeyToken();
  const job = createJobToken(jobId).token;
  const malformed = [
    '',
    'td_',
    `${token}A`,
    token.slice(0, -1),
    ` ${token}`,
    `${token}\n`,
    token.toUpperCase(),
    token.replace('td_', 'tx_'),
  ];
  const others = [
    `${job}0`,
    job.replace('tdj_', 'td_'),
    job.replace('_', '__'),
    'a'.repeat(1_000_000),
    `td_${'0'.repeat(16)}_${'é'.repeat(43)}`,
  ];
  for (const text of [...malformed, ...others]) expect(parseToken(text)).toBeUndefined();
});

test('compares hashes of different lengths without failing', () => {
  expect(isSameHash(new Uint8Array(32), new Uint8Array(31))).toBe(false);
  expect(isSameHash(new Uint8Array(0), new Uint8Array(32))).toBe(false);
});

test('spells out what a key may do, and grants nothing for scopes it does not know', () => {
  expect(grantedBy(['admin'])).toEqual(allScopes);
  expect(grantedBy(['jobs:read', 'toString', '__proto__', 'jobs:fly'])).toEqual(['jobs:read']);
});

describe('headers', () => {
  const read = (headers: Record<string, string | string[]>) => credentialsFromHeaders((name) => headers[name]);

  test.each([
    ['the bearer form', { authorization: 'Bearer abc' }],
    ['any case and spaces around', { authorization: '  bEaReR   abc ' }],
    ['x-access-token', { 'x-access-token': 'abc' }],
    ['both, if they agree', { authorization: 'Bearer abc', 'x-access-token': 'abc' }],
  ])('takes %s', (_, headers) => {
    expect(read(headers as Record<string, string>)).toEqual({ kind: 'token', token: 'abc' });
  });

  test.each([
    ['another kind of authorization', { authorization: 'Basic YTpi' }],
    ['a token without its kind', { authorization: 'abc' }],
    ['a kind without its token', { authorization: 'Bearer ' }],
    ['two tokens in one', { authorization: 'Bearer abc def' }],
    ['a list', { authorization: 'Bearer abc, Bearer def' }],
    ['a list of access tokens', { 'x-access-token': 'abc, def' }],
    ['a repeated header', { 'x-access-token': ['abc', 'def'] }],
    ['two that differ', { authorization: 'Bearer abc', 'x-access-token': 'def' }],
  ])('refuses %s, and says what was expected', (_, headers) => {
    expect(read(headers as Record<string, string>)).toEqual({
      kind: 'malformed',
      message: expect.stringContaining('Bearer <token>'),
    });
  });

  test('finds none where there is none', () => {
    expect(read({})).toEqual({ kind: 'none' });
    expect(read({ authorization: '' })).toEqual({ kind: 'none' });
  });
});

describe('connection parameters', () => {
  test.each([
    { authorization: 'Bearer abc' },
    { Authorization: 'Bearer abc' },
    { authorization: 'abc' },
    { 'X-Access-Token': 'abc' },
  ])('takes %j', (params) => {
    expect(credentialsFromConnectionParams(params)).toEqual({ kind: 'token', token: 'abc' });
  });

  test.each([undefined, null, {}, { other: 1 }, { authorization: null }])('finds none in %j', (params) => {
    expect(credentialsFromConnectionParams(params)).toEqual({ kind: 'none' });
  });

  test.each([
    'text',
    7,
    { authorization: 7 },
    { authorization: ['abc'] },
    { authorization: { token: 'abc' } },
    { authorization: 'Basic abc' },
    { authorization: 'Bearer' },
  ])('refuses %j', (params) => {
    expect(credentialsFromConnectionParams(params).kind).toBe('malformed');
  });
});
