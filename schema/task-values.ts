/** The words in which tasks are asked for and described. */
import { type TaskReason, type TaskState, taskReasons, taskStates } from '../src/jobs/task-state.js';
import { type TaskLayout, taskLayouts } from '../src/tasks/payload.js';
import { builder } from './builder.js';
import { described } from './recording-values.js';

export const TaskStateEnum = builder.enumType('TaskState', {
  description: "A task's state, derived from that of its job. STOPPED, FAILED and TIMEOUT are final.",
  values: described<TaskState>(taskStates, {
    ENQUEUED: 'Accepted; it waits for a recorder.',
    PROCESSING: 'A recorder has taken it, with a lease.',
    STOPPING: 'It ends: what was recorded is being made into files.',
    STOPPED: 'It has ended as it should; the reason says whether by itself.',
    FAILED: 'It has ended otherwise, with less than it should have, or nothing; the error says why.',
    TIMEOUT: 'No recorder had room for it in time.',
  }),
});

export const TaskReasonEnum = builder.enumType('TaskReason', {
  description: 'Why a task has STOPPED.',
  values: described<TaskReason>(taskReasons, {
    COMPLETED: 'By itself: its maximum duration, or what it records, was over.',
    USER_STOP: 'It was asked to.',
  }),
});

export const TaskLayoutEnum = builder.enumType('TaskLayout', {
  description: 'What a task records.',
  values: described<TaskLayout>(taskLayouts, {
    FLAT: 'People of a room, each to files of their own.',
    FREESTYLE: 'A page, as it is seen and heard.',
  }),
});

export const TaskCommandEnum = builder.enumType('TaskCommand', {
  description: 'What a task does.',
  values: { RECORD: { description: 'It records to files.' } },
});

export const TaskActionEnum = builder.enumType('TaskAction', {
  description: 'What was asked of a task.',
  values: {
    START: { description: 'To record.' },
    STOP: { description: 'To stop, also where it has not yet.' },
  },
});

export const TaskAnswerEnum = builder.enumType('TaskAnswer', {
  description: 'What becomes of a request.',
  values: {
    ENQUEUED: { description: 'It is accepted, and will be carried out.' },
    COMPLETED: { description: 'The task had ended before: there is nothing to do.' },
  },
});
