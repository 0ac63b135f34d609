import { describe, expect, test } from 'vitest';
import { fileName, patternProblem, uniqueNames, usualPattern } from '../../src/tasks/file-names.js';

const taskId = '0193a5b2-7c1e-7d4f-8a21-000000000001';
const startedAt = new Date('2026-05-17T20:15:07.250Z');
const named = (pattern: string, more: { room?: string; user?: string | null; index?: number } = {}) =>
  fileName(
    { pattern, region: 'eu-1', room: more.room ?? 'Town hall' },
    { taskId, startedAt, user: more.user === undefined ? 'ann' : more.user, index: more.index ?? 1 },
  );

describe('a pattern', () => {
  test('stands for what it names', () => {
    expect(named('{date} {time} {region} {room} {user} {index} {task}')).toBe(
      `2026-05-17 20-15-07 eu-1 Town hall ann 1 ${taskId}`,
    );
    expect(named(usualPattern.FLAT)).toBe('Town hall-ann-2026-05-17_20-15-07');
    expect(named(usualPattern.FREESTYLE, { user: null })).toBe(`${taskId}-2026-05-17_20-15-07`);
    expect(named('file_output')).toBe('file_output');
  });

  test.each([
    ['a room that is called as a folder', '{room}/../', '../../etc/passwd', null],
    ['dots in front', '{room}', '..hidden', 'hidden'],
    ['signs of other alphabets', '{room}', 'Café Ünïcode 東京', 'Cafe Unicode _'],
    ['line ends and quotes', '{room}', 'a"b\n\'c', 'a_b_c'],
    ['nothing but what cannot be', '{room}', '...', taskId],
  ])('never leaves its folder: %s', (_, pattern, room, expected) => {
    if (expected === null) expect(patternProblem(pattern, { isOfRoom: true })).toMatch(/letters, digits/);
    else expect(named(pattern, { room })).toBe(expected);
    expect(named('{room}', { room })).not.toMatch(/[/\\]|^\./);
  });

  test('that stands for too much is cut', () => {
    expect(named('{room}{room}', { room: 'x'.repeat(100) })).toHaveLength(150);
  });

  test.each(['{room', '}', 'a/b', 'a\\b', '{}', '{user.name}', '$(id)', '{constructor}', '', 'x'.repeat(201)])(
    'that cannot be used is refused with a reason: %j',
    (pattern) => {
      expect(patternProblem(pattern, { isOfRoom: true })).toBeTruthy();
    },
  );

  test('of a page knows no room and no user', () => {
    expect(patternProblem('{date}-{index}', { isOfRoom: false })).toBeNull();
    expect(patternProblem('{user}', { isOfRoom: false })).toMatch(/has no \{user\}; there are \{date\}/);
    expect(patternProblem('{room}', { isOfRoom: false })).toMatch(/has no \{room\}/);
  });
});

test('no two files of a task get the same name, whatever the pattern leaves out', () => {
  const unique = uniqueNames();
  expect(['take', 'take', 'Take', 'take-2', 'other'].map(unique)).toEqual([
    ...['take', 'take-2', 'Take-3', 'take-2-2', 'other'],
  ]);
});
