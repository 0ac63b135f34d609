import { describe, expect, test } from 'vitest';
import { intendedEnds } from '../../src/jobs/reasons.js';
import { jobStates, terminalStates, transitions } from '../../src/jobs/states.js';
import { taskReason, taskState, taskStates } from '../../src/jobs/task-state.js';

describe('the states of tasks', () => {
  test('every state of a job is one of a task, and each of those is some job’s', () => {
    expect(Object.keys(taskState)).toEqual([...jobStates]);
    expect([...new Set(Object.values(taskState))].sort()).toEqual([...taskStates].sort());
  });

  test('a final state of a job is one of the task, and no other is', () => {
    const final = ['STOPPED', 'FAILED', 'TIMEOUT'];
    for (const state of jobStates) expect(final.includes(taskState[state]), state).toBe(terminalStates.includes(state));
  });

  test('a task never goes back, but to the queue when its machine is lost before anything was recorded', () => {
    const order = ['ENQUEUED', 'PROCESSING', 'STOPPING', 'STOPPED', 'FAILED', 'TIMEOUT'];
    for (const from of jobStates)
      for (const to of transitions[from]) {
        if (to === 'QUEUED') continue;
        expect(order.indexOf(taskState[to]), `${from} to ${to}`).toBeGreaterThanOrEqual(order.indexOf(taskState[from]));
      }
  });

  test('a task that has stopped says whether it was asked to, and no other does', () => {
    for (const reason of intendedEnds)
      expect(taskReason('COMPLETE', reason)).toBe(reason === 'USER_INITIATED' ? 'USER_STOP' : 'COMPLETED');
    expect(taskReason('CANCELED', 'CANCELED')).toBe('USER_STOP');
    expect(taskReason('PARTIAL', 'USER_INITIATED')).toBeNull();
    expect(taskReason('EXPIRED', 'QUEUE_TIMEOUT')).toBeNull();
    expect(taskReason('RECORDING', null)).toBeNull();
  });
});
