/** When the windows of a schedule begin and end: times of a place, through its changes of summer and winter time. */
import { type DayOfWeek, instantOf, localDateAt, nextDate, weekdayOf } from './local-time.js';

/** One window a day, on the days that it begins on. */
export interface Window {
  /** Empty: every day. */
  daysOfWeek: DayOfWeek[];
  /** HH:MM:SS of the place. */
  startAt: string;
  /** The same; not later than the beginning: of the next day. */
  stopAt: string;
}

export interface Timing {
  /** An IANA name. */
  timezone: string;
  windows: readonly Window[];
  /** Only windows that begin from then on; null: whenever. */
  from: Date | null;
  /** None begins then or later, and one that is open ends; null: never. */
  until: Date | null;
}

/** One window of one day. */
export interface WindowRun {
  startAt: Date;
  stopAt: Date;
}

/** No window is longer: a day has 25 hours at most. */
export const longestWindowMs = 25 * 3_600_000;
/** Days on which there may be no window at all: so long must be looked on for one. A week, and one that a place left out. */
const mostIdleDays = 8;

/**
 * The windows that begin at `after` or later, in order. Those that begin together are one, as long as the longest. What begins
 * at a time that a day leaves out begins when the clocks are set, and what begins at a time that a day has twice does so once,
 * the first time; ends alike.
 */
export function* windowRuns(timing: Timing, after: Date): Generator<WindowRun, void, undefined> {
  const { timezone, windows, from, until } = timing;
  const first = new Date(Math.max(after.getTime(), from?.getTime() ?? Number.NEGATIVE_INFINITY));
  let idleDays = 0;
  for (let date = localDateAt(timezone, first); idleDays <= mostIdleDays; date = nextDate(date)) {
    const weekday = weekdayOf(date);
    idleDays++;
    const runs = new Map<number, number>();
    for (const window of windows) {
      if (window.daysOfWeek.length > 0 && !window.daysOfWeek.includes(weekday)) continue;
      const start = instantOf(timezone, date, window.startAt);
      const stop = instantOf(timezone, window.stopAt > window.startAt ? date : nextDate(date), window.stopAt);
      const cut = Math.min(stop, until?.getTime() ?? Number.POSITIVE_INFINITY);
      // Nothing is left of a window that lies where the clocks are set forward.
      if (cut > start) runs.set(start, Math.max(cut, runs.get(start) ?? 0));
      idleDays = 0;
    }
    for (const [start, stop] of [...runs].sort(([a], [b]) => a - b)) {
      if (start < first.getTime()) continue;
      yield { startAt: new Date(start), stopAt: new Date(stop) };
    }
    if (until && instantOf(timezone, date, '00:00:00') > until.getTime()) return;
  }
}

/** How long the longest of the windows is open at most, milliseconds: an hour more than by its times where clocks are set back. */
export function longestOpenMs({ windows }: Timing): number {
  const secondsOf = (time: string) => {
    const [hours, minutes, seconds] = time.split(':').map(Number) as [number, number, number];
    return (hours * 60 + minutes) * 60 + seconds;
  };
  const lengths = windows.map(({ startAt, stopAt }) => {
    const seconds = secondsOf(stopAt) - secondsOf(startAt);
    return seconds > 0 ? seconds : seconds + 24 * 3_600;
  });
  return (Math.max(...lengths) + 3_600) * 1_000;
}

/** The next ones, at most so many. */
export function nextRuns(timing: Timing, after: Date, most: number): WindowRun[] {
  const runs: WindowRun[] = [];
  for (const run of windowRuns(timing, after)) {
    if (runs.length === most) break;
    runs.push(run);
  }
  return runs;
}

/** When the next window begins, at `after` or later; null when none does. */
export const nextStart = (timing: Timing, after: Date): Date | null => nextRuns(timing, after, 1)[0]?.startAt ?? null;

/** Those that began at `after` or later, and until `now`. */
export function runsBetween(timing: Timing, after: Date, now: Date): WindowRun[] {
  const runs: WindowRun[] = [];
  for (const run of windowRuns(timing, after)) {
    if (run.startAt > now) break;
    runs.push(run);
  }
  return runs;
}
