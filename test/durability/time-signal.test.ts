import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { abortedAfter } from '../../src/time-signal.js';
import { heldBytes } from '../testkit/memory.js';

test('what takes too long is ended, however much garbage is collected meanwhile', async () => {
  let ended = false;
  abortedAfter(300, new AbortController().signal).addEventListener('abort', () => {
    ended = true;
  });
  for (const until = Date.now() + 600; Date.now() < until; await sleep(10)) await heldBytes();
  expect(ended).toBe(true);
});

test('and at once with any of the others', () => {
  const other = new AbortController();
  const signal = abortedAfter(60_000, new AbortController().signal, other.signal);
  other.abort(new Error('enough'));
  expect(signal.reason).toEqual(new Error('enough'));
});
