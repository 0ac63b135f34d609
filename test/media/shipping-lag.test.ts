import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLag, type Lag } from '../../worker/shipping/lag.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** Rounds that take so long each; answers what was told twice a second meanwhile, each different one once. */
function rounds(lag: Lag, count: number, eachMs: number): (number | null)[] {
  const told: (number | null)[] = [];
  for (let round = 0; round < count; round++) {
    const startedAt = performance.now();
    for (let ms = 0; ms < eachMs; ms += 500) {
      vi.advanceTimersByTime(500);
      if (told.length === 0 || lag.since() !== told.at(-1)) told.push(lag.since());
    }
    lag.shipped(startedAt);
  }
  return told;
}

test('a line on which each round takes 12 s is one warning, since the beginning', () => {
  const begunAt = Date.now();
  expect(rounds(createLag(), 50, 12_000)).toEqual([null, begunAt]);
});

test('rounds of a second or of 4 s are no lag', () => {
  expect(rounds(createLag(), 300, 1_000)).toEqual([null]);
  expect(rounds(createLag(), 100, 4_000)).toEqual([null]);
});

test('a line that is late now and then is late until it was in time for half a minute', () => {
  const lag = createLag();
  const begunAt = Date.now();
  for (let time = 0; time < 5; time++) {
    rounds(lag, 1, 12_000);
    expect(new Set(rounds(lag, 20, 1_000))).toEqual(new Set([begunAt]));
  }
  expect(rounds(lag, 20, 1_000)).toEqual([begunAt, null]);
});
