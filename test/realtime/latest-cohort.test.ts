/** Those who follow the same values, of which only the newest counts: what each of them is told. */
import { describe, expect, test, vi } from 'vitest';
import { LatestCohort } from '../../src/events/latest-cohort.js';
import type { LatestSource } from '../../src/events/source.js';
import { json, numbers, settled, sink } from '../testkit/sink.js';

describe('a follower of values', () => {
  function cohortOfValues(intervalMs = 1) {
    let onValue: (value: object) => void = () => {};
    let onEnd: (error?: unknown) => void = () => {};
    const stop = vi.fn();
    const follow: LatestSource['follow'] = (...callbacks) => {
      [onValue, onEnd] = callbacks;
      return stop;
    };
    const onEmpty = vi.fn();
    const cohort = new LatestCohort({ kind: 'latest', intervalMs, follow }, json, onEmpty);
    return {
      join(member: ReturnType<typeof sink>) {
        member.leave = cohort.join(member);
        if (member.ends.length > 0) member.leave();
      },
      stop,
      onEmpty,
      value: (value: number) => onValue({ value }),
      end: (error?: unknown) => onEnd(error),
    };
  }

  test('that reads slowly is told the newest value when it reads again, and none of those before', async () => {
    const { join, value } = cohortOfValues();
    const [fast, slow] = [sink(), sink(1)];
    for (const member of [fast, slow]) join(member);
    for (const number of numbers(1, 5)) {
      value(number);
      await expect.poll(() => fast.told.at(-1)).toBe(`value ${number}`);
    }
    expect(slow.told).toEqual(['value 1']);
    slow.makeRoom();
    expect(slow.told).toEqual(['value 1', 'value 5']);
  });

  test('is told no two values within the interval, but the last one at once when there will be no other', async () => {
    const { join, value, end, stop, onEmpty } = cohortOfValues(60_000);
    const member = sink();
    join(member);
    value(1);
    await settled();
    value(2);
    value(3);
    await settled();
    expect(member.told).toEqual(['value 1']);
    end();
    await settled();
    expect(member.told).toEqual(['value 1', 'value 3']);
    expect([member.ends, stop.mock.calls.length, onEmpty.mock.calls.length]).toEqual([[undefined], 1, 1]);
  });

  test('that comes when it is all over, but for a slow one, is told the last value and that it is', async () => {
    const { join, value, end, onEmpty } = cohortOfValues();
    const [slow, late] = [sink(1), sink()];
    join(slow);
    value(1);
    await settled();
    value(2);
    end();
    await expect.poll(() => slow.told).toEqual(['value 1']);
    await settled();
    expect(slow.ends).toEqual([]);
    join(late);
    expect([late.told, late.ends]).toEqual([['value 2'], [undefined]]);
    slow.makeRoom();
    expect([slow.told, slow.ends]).toEqual([['value 1', 'value 2'], [undefined]]);
    expect(onEmpty).toHaveBeenCalledOnce();
  });

  test('is told what went wrong', async () => {
    const { join, end } = cohortOfValues();
    const member = sink();
    join(member);
    end(new Error('no such job'));
    await settled();
    expect(member.ends).toEqual([new Error('no such job')]);
  });
});
