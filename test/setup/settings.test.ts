import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig, settings } from '../../src/config.js';

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
