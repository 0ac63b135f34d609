import { describe, expect, test } from 'vitest';
import type { PartEnd } from '../../src/jobs/capture.js';
import { gapsBetween } from '../../src/jobs/gaps.js';

const part = (fromMs: number | null, durationMs: number | null, endCause: PartEnd | null = 'STOPPED') => ({
  startedAt: fromMs === null ? null : new Date(fromMs),
  durationMs,
  endCause,
});

describe('gaps between parts', () => {
  test('one part has none', () => {
    expect(gapsBetween([])).toEqual([]);
    expect(gapsBetween([part(1_000, 5_000)])).toEqual([]);
  });

  test('say from when to when nothing was recorded, and why', () => {
    expect(gapsBetween([part(1_000, 5_000, 'ENCODER_DIED'), part(7_500, 2_000), part(9_500, 10)])).toEqual([
      { from: new Date(6_000), to: new Date(7_500), lostMs: 1_500, cause: 'ENCODER_DIED' },
    ]);
  });

  test('are also there when recording was suspended on purpose', () => {
    expect(gapsBetween([part(0, 1_000, 'SUSPENDED'), part(60_000, 1_000)])[0]).toMatchObject({
      lostMs: 59_000,
      cause: 'SUSPENDED',
    });
  });

  test('name the host when it died before it could say', () => {
    expect(gapsBetween([part(0, 1_000, null), part(4_000, 1_000)])[0]?.cause).toBe('HOST_DIED');
  });

  test('are never negative: parts that overlap or touch have none, also when a short one lies within a long one', () => {
    expect(gapsBetween([part(0, 5_000), part(4_000, 3_000)])).toEqual([]);
    expect(gapsBetween([part(0, 5_000), part(5_000, 3_000)])).toEqual([]);
    expect(gapsBetween([part(0, 10_000), part(2_000, 1_000), part(12_000, 1_000)]).map((gap) => gap.lostMs)).toEqual([
      2_000,
    ]);
  });

  test('ignore parts that never began or hold nothing', () => {
    expect(gapsBetween([part(0, 1_000), part(null, null), part(1_500, 0), part(3_000, 1_000)])).toHaveLength(1);
  });

  test('come in order of time whatever the order of the parts', () => {
    const gaps = gapsBetween([part(6_000, 1_000), part(0, 1_000), part(3_000, 1_000)]);
    expect(gaps.map(({ lostMs, from }) => [from.getTime(), lostMs])).toEqual([
      [1_000, 2_000],
      [4_000, 2_000],
    ]);
  });
});
