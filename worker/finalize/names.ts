/** The names under which users download the files of a job. */

const longestName = 80;

/** A job's name as part of a file name: letters, digits, space, `_` and `-`; never empty. */
export function safeName(name: string): string {
  const plain = name
    // Letters with marks keep their letter.
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9 _-]+/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, longestName)
    .trim();
  return plain || 'recording';
}

/** `<name>-<YYYY-MM-DD_HH-MM-SS>`, in UTC, without an ending. */
export function recordingName(name: string, startedAt: Date): string {
  const [day, time] = startedAt.toISOString().split('T') as [string, string];
  return `${safeName(name)}-${day}_${time.slice(0, 8).replaceAll(':', '-')}`;
}
