/** When windows begin and end: by the clocks of their place, whatever those are set to meanwhile. */
import { describe, expect, test } from 'vitest';
import { knownTimezone } from '../../src/schedules/local-time.js';
import { nextRuns, nextStart, runsBetween, type Timing, type Window } from '../../src/schedules/windows.js';

const daily = (startAt: string, stopAt: string, daysOfWeek: Window['daysOfWeek'] = []): Window => ({
  ...{ startAt: `${startAt}:00`, stopAt: `${stopAt}:00`, daysOfWeek },
});
const timing = (timezone: string, windows: Window[], more: Partial<Timing> = {}): Timing => ({
  ...{ timezone, windows, from: null, until: null },
  ...more,
});
const shown = (runs: { startAt: Date; stopAt: Date }[]) =>
  runs.map(({ startAt, stopAt }) => `${startAt.toISOString().slice(0, 19)} ${stopAt.toISOString().slice(0, 19)}`);

describe('a window', () => {
  test('is each day at the same time of its place, in summer and in winter', () => {
    const berlin = timing('Europe/Berlin', [daily('09:00', '17:30')]);
    expect(shown(nextRuns(berlin, new Date('2026-10-24T00:00:00Z'), 2))).toEqual([
      '2026-10-24T07:00:00 2026-10-24T15:30:00',
      '2026-10-25T08:00:00 2026-10-25T16:30:00',
    ]);
    const newYork = timing('America/New_York', [daily('09:00', '17:30')]);
    expect(shown(nextRuns(newYork, new Date('2026-03-07T12:00:00Z'), 2))).toEqual([
      '2026-03-07T14:00:00 2026-03-07T22:30:00',
      '2026-03-08T13:00:00 2026-03-08T21:30:00',
    ]);
  });

  test('that ends before it begins ends on the next day, and one that ends as it begins lasts a day', () => {
    const night = timing('Europe/Berlin', [daily('22:00', '06:00')]);
    expect(shown(nextRuns(night, new Date('2026-06-01T00:00:00Z'), 1))).toEqual([
      '2026-06-01T20:00:00 2026-06-02T04:00:00',
    ]);
    const day = timing('Europe/Berlin', [daily('12:00', '12:00')]);
    // The days on which the clocks are set have 25 hours, and 23.
    expect(shown(nextRuns(day, new Date('2026-10-24T00:00:00Z'), 1))).toEqual([
      '2026-10-24T10:00:00 2026-10-25T11:00:00',
    ]);
    expect(shown(nextRuns(day, new Date('2027-03-27T00:00:00Z'), 1))).toEqual([
      '2027-03-27T11:00:00 2027-03-28T10:00:00',
    ]);
  });

  test('is only on its days, by the day that it begins on', () => {
    const night = timing('America/New_York', [daily('23:00', '01:00', ['FRIDAY'])]);
    expect(shown(nextRuns(night, new Date('2026-12-01T00:00:00Z'), 2))).toEqual([
      '2026-12-05T04:00:00 2026-12-05T06:00:00',
      '2026-12-12T04:00:00 2026-12-12T06:00:00',
    ]);
  });

  test.each([
    ['Europe/Berlin', '2027-03-28T01:00:00'],
    ['America/New_York', '2027-03-14T07:00:00'],
  ])('that begins when the clocks of %s leave out an hour begins when they are set', (timezone, jump) => {
    const midnight = new Date(`${jump.slice(0, 10)}T00:30:00Z`);
    const run = (startAt: string, stopAt: string) =>
      nextRuns(timing(timezone, [daily(startAt, stopAt)]), midnight, 1)[0];
    const set = new Date(`${jump}Z`).getTime();
    const minutes = (count: number) => new Date(set + count * 60_000);
    expect(run('02:30', '04:00')).toEqual({ startAt: minutes(0), stopAt: minutes(60) });
    // What ends then does so at the same moment.
    expect(run('01:30', '02:30')).toEqual({ startAt: minutes(-30), stopAt: minutes(0) });
    // Nothing is left of what lies within: the next is that of the next day.
    expect(run('02:10', '02:50')?.startAt).toEqual(minutes(23 * 60 + 10));
  });

  test.each([
    ['Europe/Berlin', '02:30', '2026-10-25T00:30:00'],
    ['America/New_York', '01:30', '2026-11-01T05:30:00'],
  ])(
    'that begins in the hour that clocks of %s show twice does so once, the first time',
    (timezone, startAt, first) => {
      const date = first.slice(0, 10);
      const early = timing(timezone, [daily(startAt, '05:00')]);
      const runs = runsBetween(early, new Date(`${date}T00:00:00Z`), new Date(`${date}T12:00:00Z`));
      expect(runs.map(({ startAt }) => startAt)).toEqual([new Date(`${first}Z`)]);
    },
  );
});

describe('windows', () => {
  test('are told in order, and those that begin together are one, as long as the longest', () => {
    const many = timing('UTC', [
      daily('12:00', '13:00'),
      daily('08:00', '09:00'),
      daily('12:00', '14:00', ['TUESDAY']),
    ]);
    expect(shown(nextRuns(many, new Date('2026-12-01T00:00:00Z'), 4))).toEqual([
      '2026-12-01T08:00:00 2026-12-01T09:00:00',
      '2026-12-01T12:00:00 2026-12-01T14:00:00',
      '2026-12-02T08:00:00 2026-12-02T09:00:00',
      '2026-12-02T12:00:00 2026-12-02T13:00:00',
    ]);
  });

  test('begin within the bounds of the schedule, and end with it', () => {
    const bounds = { from: new Date('2026-12-01T10:00:00.001Z'), until: new Date('2026-12-03T10:30:00Z') };
    const bounded = timing('UTC', [daily('10:00', '11:00')], bounds);
    expect(shown(nextRuns(bounded, new Date(0), 9))).toEqual([
      '2026-12-02T10:00:00 2026-12-02T11:00:00',
      '2026-12-03T10:00:00 2026-12-03T10:30:00',
    ]);
    expect(nextStart(bounded, new Date('2026-12-03T10:00:00.001Z'))).toBeNull();
    expect(nextStart({ ...bounded, until: new Date('2026-12-02T10:00:00Z') }, new Date(0))).toBeNull();
  });

  test('that begin at a moment are those of that moment, and not of the one after it', () => {
    const utc = timing('UTC', [daily('10:00', '11:00', ['TUESDAY'])]);
    const at = new Date('2026-12-01T10:00:00Z');
    expect(nextStart(utc, at)).toEqual(at);
    expect(nextStart(utc, new Date(at.getTime() + 1))).toEqual(new Date('2026-12-08T10:00:00Z'));
    expect(runsBetween(utc, at, at)).toHaveLength(1);
  });
});

test('a time zone is known by its name, in whatever case, and an offset is none', () => {
  expect(knownTimezone('europe/berlin')).toBe('Europe/Berlin');
  expect(knownTimezone('UTC')).toBe('UTC');
  for (const none of ['', 'Europe/Atlantis', '+02:00', 'UTC+2', '../etc/passwd'])
    expect(knownTimezone(none)).toBeNull();
});
