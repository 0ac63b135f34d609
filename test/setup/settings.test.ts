import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { ConfigError, hostEnvironment, loadConfig, noBucket, settings } from '../../src/config.js';

const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
const lines = example.split('\n').filter((line) => line && !line.startsWith('#'));

describe('.env.example', () => {
  test('lists every setting there is, in the same order, and no other', () => {
    expect(lines.map((line) => line.split('=')[0])).toEqual(Object.keys(settings.shape));
  });

  test('shows the defaults: used as it is, it changes nothing', () => {
    const shown = Object.fromEntries(lines.map((line) => line.split(/=(.*)/).slice(0, 2)));
    expect(loadConfig(shown)).toEqual(loadConfig({}));
  });
});

test('a malformed setting is refused in words that name it', () => {
  expect(() => loadConfig({ PORT: 'eighty', DATABASE_URL: 'mysql://db' })).toThrow(ConfigError);
  expect(() => loadConfig({ PORT: 'eighty', DATABASE_URL: 'mysql://db' })).toThrow(/PORT: .*\n.*DATABASE_URL: /);
});

describe('half of a storage is refused in words that name what is missing', () => {
  test.each([
    ['a key without its secret', { S3_BUCKET: 'b', S3_ACCESS_KEY_ID: 'k' }, /S3_SECRET_ACCESS_KEY: is missing/],
    ['a secret without its key', { S3_BUCKET: 'b', S3_SECRET_ACCESS_KEY: 's' }, /S3_ACCESS_KEY_ID: is missing/],
    ['keys without a bucket', { S3_ACCESS_KEY_ID: 'k', S3_SECRET_ACCESS_KEY: 's' }, /S3_BUCKET: is missing, S3_ACCESS/],
    ['an endpoint without a bucket', { S3_ENDPOINT: 'http://s3.test' }, /S3_BUCKET: is missing, S3_ENDPOINT is set/],
    ['a folder of no bucket', { S3_BUCKET: '', S3_PREFIX: 'tapedeck/' }, /S3_BUCKET: is missing, S3_PREFIX is set/],
  ])('%s', (_what, environment, message) => {
    expect(() => loadConfig(environment)).toThrow(ConfigError);
    expect(() => loadConfig(environment)).toThrow(message);
  });

  test('a stack that shall have no bucket has none, whatever the settings say of one', () => {
    const given = {
      S3_BUCKET: 'b',
      S3_ENDPOINT: 'http://s3.test',
      S3_PREFIX: 'p/',
      S3_REGION: 'r',
      S3_PATH_STYLE: 'true',
    };
    const keys = { S3_ACCESS_KEY_ID: 'k', S3_SECRET_ACCESS_KEY: 's' };
    expect(loadConfig({ ...given, ...keys }).s3).not.toBeNull();
    expect(loadConfig({ ...given, ...keys, ...noBucket }).s3).toBeNull();
  });
});

test('a machine is not given up before it had the time to be started again', () => {
  expect(() => loadConfig({ MACHINE_TIMEOUT_SECONDS: '9' })).toThrow(/MACHINE_TIMEOUT_SECONDS: /);
  expect(loadConfig({ MACHINE_TIMEOUT_SECONDS: '10' }).machineTimeoutMs).toBe(10_000);
});

test('a recorder host trusts the same certificates as its worker', () => {
  vi.stubEnv('NODE_EXTRA_CA_CERTS', '/etc/company-ca.pem');
  expect(hostEnvironment()).toMatchObject({ NODE_EXTRA_CA_CERTS: '/etc/company-ca.pem' });
  vi.stubEnv('NODE_EXTRA_CA_CERTS', undefined);
  expect(hostEnvironment()).not.toHaveProperty('NODE_EXTRA_CA_CERTS');
  vi.unstubAllEnvs();
});
