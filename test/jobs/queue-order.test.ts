import { describe, expect, test } from 'vitest';
import { expectedStarts, fairOrder, type QueuedJob } from '../../src/jobs/queue-order.js';

let count = 0;
const job = (projectId: string, requestedAt: number, more: Partial<QueuedJob> = {}): QueuedJob => ({
  ...{ jobId: `${projectId}${requestedAt}`, projectId, pool: 'encode', isInterrupted: false, priority: 1, requestedAt },
  ...more,
});
const order = (waiting: QueuedJob[], shares: Record<string, number> = {}) =>
  fairOrder(waiting, new Map(Object.entries(shares).map(([id, places]) => [`encode/${id}`, places]))).map(
    ({ jobId }) => jobId,
  );

describe('the order of the queue', () => {
  test('of one project is the order in which jobs were asked for', () => {
    expect(order([job('a', 3), job('a', 1), job('a', 2)])).toEqual(['a1', 'a2', 'a3']);
  });

  test('gives each project a turn, however many jobs another has asked for before', () => {
    const flood = Array.from({ length: 6 }, (_, at) => job('a', at));
    expect(order([...flood, job('b', 100), job('b', 101)])).toEqual([
      ...['a0', 'b100', 'a1', 'b101', 'a2', 'a3', 'a4', 'a5'],
    ]);
  });

  test('counts the places that a project has already', () => {
    expect(order([job('a', 1), job('a', 2), job('b', 3), job('b', 4)], { a: 2 })).toEqual(['b3', 'b4', 'a1', 'a2']);
  });

  test('of one project goes by priority, which is worth nothing against another project', () => {
    const [low, high] = [{ priority: 0 }, { priority: 2 }];
    expect(order([job('a', 1, low), job('a', 2), job('a', 3, high)])).toEqual(['a3', 'a2', 'a1']);
    expect(order([job('a', 1, high), job('a', 2, high), job('b', 3, low)])).toEqual(['a1', 'b3', 'a2']);
  });

  test('begins with what was interrupted: every second of it is lost for ever', () => {
    expect(order([job('a', 1, { priority: 2 }), job('b', 9, { isInterrupted: true, priority: 0 })], { b: 9 })).toEqual([
      ...['b9', 'a1'],
    ]);
  });

  test('has everybody once, whoever waits, and no project waits for more turns than there are projects', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    for (let round = 0; round < 50; round++) {
      const waiting = Array.from({ length: 40 }, () =>
        job(`p${random(5)}`, random(1_000), { jobId: `j${count++}`, priority: random(3) }),
      );
      const ordered = fairOrder(waiting, new Map());
      expect(new Set(ordered)).toEqual(new Set(waiting));
      const projects = new Set(waiting.map(({ projectId }) => projectId));
      const first = new Set(ordered.slice(0, projects.size).map(({ projectId }) => projectId));
      expect(first).toEqual(projects);
    }
  });
});

describe('when a job begins at the latest', () => {
  const hour = 3_600_000;
  const waiting = (hours: number[]) => hours.map((each) => ({ maxDurationMs: each * hour }));

  test('is now while there are places, then when the first of those before it has to end', () => {
    const now = 1_000;
    expect(expectedStarts(waiting([1, 1, 1]), { free: 2, ends: [], now })).toEqual([now, now, now + hour]);
    expect(expectedStarts(waiting([1, 3, 1, 1]), { free: 0, ends: [now + 2 * hour, now + hour], now })).toEqual([
      ...[now + hour, now + 2 * hour, now + 2 * hour, now + 3 * hour],
    ]);
  });

  test('is now for who waits for one that should have ended, and never where there is no place', () => {
    expect(expectedStarts(waiting([1]), { free: 0, ends: [5], now: 10 })).toEqual([10]);
    expect(expectedStarts(waiting([1, 1]), { free: 0, ends: [], now: 10 })).toEqual([null, null]);
  });

  test('agrees with trying each place in turn', () => {
    const lengths = Array.from({ length: 200 }, (_, index) => ((index * 37) % 11) + 1);
    const ends = [5, 3, 8, 1].map((each) => each * hour);
    const places = [0, 0, ...ends];
    const expected = lengths.map((length) => {
      const at = Math.min(...places);
      places[places.indexOf(at)] = at + length * hour;
      return at;
    });
    expect(expectedStarts(waiting(lengths), { free: 2, ends, now: 0 })).toEqual(expected);
  });
});
