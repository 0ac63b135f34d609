/** Dates and times of a place, and the moments that they stand for. */

export const daysOfWeek = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY', 'SUNDAY'] as const;
export type DayOfWeek = (typeof daysOfWeek)[number];

/** A date by the calendar. */
export interface LocalDate {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
}

const dayMs = 24 * 3_600_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws RangeError for what is no time zone. */
function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone);
  if (known) return known;
  const numbers = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
  const times = { hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' } as const;
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, ...numbers, ...times });
  formats.set(timezone, format);
  return format;
}

/** The name that engines know a time zone by, such as `Europe/Berlin` for `europe/berlin`; null for what is none. */
export function knownTimezone(name: string): string | null {
  // An offset is no place: it has no summer.
  if (!/^[A-Za-z]/.test(name)) return null;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return null;
  }
}

/** What clocks of the place show, as if it were UTC; epoch milliseconds, whole seconds. */
function shownAt(timezone: string, epochMs: number): number {
  const parts = new Map(
    formatOf(timezone)
      .formatToParts(epochMs)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) as number;
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
}

/** How far clocks of the place are ahead of UTC, milliseconds. */
function offsetAt(timezone: string, epochMs: number): number {
  const second = Math.floor(epochMs / 1000) * 1000;
  return shownAt(timezone, second) - second;
}

export function localDateAt(timezone: string, at: Date): LocalDate {
  return dateOf(shownAt(timezone, at.getTime()));
}

export const nextDate = ({ year, month, day }: LocalDate): LocalDate => dateOf(Date.UTC(year, month - 1, day + 1));

export const weekdayOf = ({ year, month, day }: LocalDate): DayOfWeek =>
  daysOfWeek[(new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7] as DayOfWeek;

/**
 * The moment at which clocks of the place show this time of that day, HH:MM:SS; epoch milliseconds. The first one where they
 * show it twice; where they never do, the moment at which they are set forward beyond it.
 */
export function instantOf(timezone: string, { year, month, day }: LocalDate, time: string): number {
  const [hour, minute, second] = time.split(':').map(Number) as [number, number, number];
  const shown = Date.UTC(year, month - 1, day, hour, minute, second);
  const before = offsetAt(timezone, shown - dayMs);
  const after = offsetAt(timezone, shown + dayMs);
  const [early, late] = [shown - before, shown - after];
  if (offsetAt(timezone, early) === before) return early;
  if (offsetAt(timezone, late) === after) return late;
  return firstMomentOf(timezone, late, early);
}

/** When clocks are set, somewhere behind `from` and not later than `to`: the first moment of what they show then. */
function firstMomentOf(timezone: string, from: number, to: number): number {
  const offset = offsetAt(timezone, to);
  let [old, fresh] = [from, to];
  while (fresh - old > 1) {
    const middle = Math.floor((old + fresh) / 2);
    if (offsetAt(timezone, middle) === offset) fresh = middle;
    else old = middle;
  }
  return fresh;
}

function dateOf(shown: number): LocalDate {
  const date = new Date(shown);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}
