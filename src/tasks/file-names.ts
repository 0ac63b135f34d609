/** Names of the files of a task, made of a pattern with placeholders such as `{date}`. */

/** What a pattern may name, and what it stands for. */
export const placeholders = {
  date: 'day of its first media, UTC, such as 2026-05-17',
  time: 'time of its first media, UTC, such as 20-15-07',
  region: 'REGION of this installation',
  room: 'name of the room',
  user: 'identity of who is recorded',
  index: 'counts the files of one user, or of the page, from 1',
  task: 'id of the task',
} as const;
export type Placeholder = keyof typeof placeholders;

/** What does not change from file to file. */
export interface FileNaming {
  pattern: string;
  region: string;
  /** Null for a page. */
  room: string | null;
}

/** What a file is of. */
export interface NamedFile {
  taskId: string;
  startedAt: Date;
  /** Null for a page. */
  user: string | null;
  /** From 1. */
  index: number;
}

export const usualPattern = { FLAT: '{room}-{user}-{date}_{time}', FREESTYLE: '{task}-{date}_{time}' } as const;

const longestPattern = 200;
const longestName = 150;
const ofRooms: readonly string[] = ['room', 'user'] satisfies Placeholder[];

/** What is wrong with a pattern, in words for its author; null when it can be used. */
export function patternProblem(pattern: string, { isOfRoom }: { isOfRoom: boolean }): string | null {
  if (pattern.length === 0 || pattern.length > longestPattern) return `must have 1 to ${longestPattern} characters`;
  const known = Object.keys(placeholders).filter((name) => isOfRoom || !ofRooms.includes(name));
  for (const [, name] of pattern.matchAll(/\{([^{}]*)\}/g)) {
    if (!known.includes(name as string))
      return `has no {${name}}; there are ${known.map((each) => `{${each}}`).join(', ')}`;
  }
  const literal = pattern.replace(/\{[^{}]*\}/g, '');
  // No separator, so that no folder is ever left, or entered.
  return /^[A-Za-z0-9 ._-]*$/.test(literal)
    ? null
    : 'may have letters, digits, spaces, ".", "_", "-" and placeholders in {}, and nothing else';
}

/**
 * The name of a file, without its ending: what the pattern names, in letters, digits, space, `.`, `_` and `-`. Never empty, and
 * never begins with a dot. Two files may be given the same one.
 */
export function fileName({ pattern, region, room }: FileNaming, { taskId, startedAt, user, index }: NamedFile): string {
  const values: Record<Placeholder, string> = {
    ...namedTime(startedAt),
    ...{ region, room: room ?? '', user: user ?? '', index: `${index}`, task: taskId },
  };
  const name = pattern
    .replace(/\{([a-z]+)\}/g, (_, key: Placeholder) => plain(values[key]))
    .replace(/^[. ]+/, '')
    .slice(0, longestName)
    .replace(/[. ]+$/, '');
  return name || taskId;
}

/** What no file system wants becomes `_`. */
const plain = (text: string): string => withoutMarks(text).replace(/[^A-Za-z0-9 ._-]+/g, '_');

/** Letters with marks keep their letter. */
export const withoutMarks = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '');

/** Day and time in UTC as names of files have them: `YYYY-MM-DD`, `HH-MM-SS`. */
export function namedTime(at: Date): { date: string; time: string } {
  const [date, time] = at.toISOString().split('T') as [string, string];
  return { date, time: time.slice(0, 8).replaceAll(':', '-') };
}

/** Gives each name once: what was given before gets `-2`, `-3` and so on. Upper and lower case are no difference to all file systems. */
export function uniqueNames(): (name: string) => string {
  const given = new Set<string>();
  return (name) => {
    for (let count = 1; ; count++) {
      const candidate = count === 1 ? name : `${name}-${count}`;
      if (given.has(candidate.toLowerCase())) continue;
      given.add(candidate.toLowerCase());
      return candidate;
    }
  };
}
