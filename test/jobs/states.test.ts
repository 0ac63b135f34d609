import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FileKind, JobKind as StoredKind, JobState as StoredState } from '../../src/generated/prisma/client.js';
import { intendedEnds, jobReasons, reasons } from '../../src/jobs/reasons.js';
import {
  isGranted,
  isTerminal,
  type JobRequest,
  type JobState,
  jobKinds,
  jobStates,
  statesBefore,
  terminalStates,
  transitions,
} from '../../src/jobs/states.js';

describe('the state machine', () => {
  test('the database knows exactly the states and kinds of the code', () => {
    expect(Object.keys(StoredState)).toEqual([...jobStates]);
    expect(Object.keys(StoredKind)).toEqual([...jobKinds]);
    expect(Object.keys(FileKind)).toContain('VIDEO');
  });

  test('every state but the first ones can be entered, and every state that is not final can be left', () => {
    for (const state of jobStates) {
      if (state !== 'SCHEDULED') expect(statesBefore(state), state).not.toHaveLength(0);
      if (!isTerminal(state)) expect(transitions[state], state).not.toHaveLength(0);
    }
    expect(terminalStates).toEqual(['COMPLETE', 'PARTIAL', 'FAILED', 'EXPIRED', 'CANCELED']);
  });

  test('from every state a final one can be reached', () => {
    for (const start of jobStates) {
      const seen = new Set<string>();
      const open = [start];
      for (let state = open.pop(); state; state = open.pop()) {
        if (seen.has(state)) continue;
        seen.add(state);
        open.push(...transitions[state]);
      }
      expect(
        [...seen].some((state) => isTerminal(state as typeof start)),
        start,
      ).toBe(true);
    }
  });

  test('stop and cancel are never both granted, and neither once a job has ended', () => {
    for (const state of jobStates) {
      expect(isGranted('stop', state) && isGranted('cancel', state), state).toBe(false);
      if (isTerminal(state)) expect(isGranted('stop', state) || isGranted('cancel', state), state).toBe(false);
    }
  });

  test('the table of requests in the docs is the one in the code', () => {
    const docs = readFileSync(new URL('../../docs/jobs.md', import.meta.url), 'utf8');
    const follows: Record<JobRequest, JobState> = {
      stop: 'STOPPING',
      cancel: 'CANCELED',
      begin: 'RECORDING',
      pause: 'PAUSED',
      resume: 'RECONNECTING',
    };
    for (const state of jobStates) {
      const cells = Object.entries(follows).map(([request, next]) =>
        isGranted(request as JobRequest, state) ? next : 'refused',
      );
      expect(docs).toContain(`| ${[state, ...cells].join(' | ')} |`);
    }
  });

  test('an intended end is nobody’s failure, and every failure says who must act', () => {
    for (const reason of jobReasons) {
      const ordinary = intendedEnds.includes(reason) || reason === 'CANCELED';
      expect(reasons[reason].actor === null, reason).toBe(ordinary);
      expect(reasons[reason].message, reason).toMatch(/\.$/);
    }
  });
});
