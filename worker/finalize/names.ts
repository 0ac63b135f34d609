/** The names under which users download the files of a job. */

import { namedTime, withoutMarks } from '../../src/tasks/file-names.js';

const longestName = 80;

/** A job's name as part of a file name: letters, digits, space, `_` and `-`; never empty. */
export function safeName(name: string): string {
  const plain = withoutMarks(name)
    .replace(/[^A-Za-z0-9 _-]+/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, longestName)
    .trim();
  return plain || 'recording';
}

/** `<name>-<YYYY-MM-DD_HH-MM-SS>`, in UTC, without an ending. */
export function recordingName(name: string, startedAt: Date): string {
  const { date, time } = namedTime(startedAt);
  return `${safeName(name)}-${date}_${time}`;
}
