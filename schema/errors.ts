/** Expected failures, as members of the result unions. */
import type { JobState } from '../src/jobs/states.js';
import {
  CapacityError,
  ConflictError,
  type ErrorCode,
  type ExpectedError,
  type FieldIssue,
  HeldError,
  InvalidStateError,
  NotFoundError,
  PartsGoneError,
  UnavailableError,
  UrlRefusedError,
  ValidationError,
} from '../src/services/errors.js';
import { builder } from './builder.js';
import { JobStateEnum } from './states.js';

const ErrorCodeEnum = builder.enumType('ErrorCode', {
  description: 'Stable codes of the failures that a client can act on.',
  values: {
    VALIDATION_FAILED: { description: 'The input is malformed or out of range. Correct the named fields.' },
    NOT_FOUND: { description: 'There is no such thing, or these credentials do not reach it.' },
    INVALID_STATE: { description: "The job's state does not allow this." },
    CONFLICT: { description: 'The request id was used before with another input. Use a new one.' },
    URL_REFUSED: {
      description: 'The URL of a page or a callback leads to an address that this service may not reach.',
    },
    PARTS_GONE: { description: 'What was recorded is not kept any more, or nothing was recorded.' },
    UNAVAILABLE: {
      description:
        'The engine did not answer in time, or the machine that is needed is away. Ask again; a request id makes that safe.',
    },
    NO_CAPACITY: { description: 'All there is of something, such as ports, is in use.' },
    HELD: { description: 'A file is held: it is removed by nobody before `setHold` lets it go.' },
  } satisfies Record<ErrorCode, { description: string }>,
});

const ErrorInterface = builder.interfaceRef<ExpectedError>('Error').implement({
  description: 'An expected failure: something that a client can act on.',
  fields: (t) => ({
    message: t.exposeString('message', { description: 'What was wrong, what was expected, and what to do.' }),
    code: t.expose('code', { type: ErrorCodeEnum, description: 'The failure as a stable code.' }),
  }),
});

const FieldIssueType = builder.objectRef<FieldIssue>('FieldIssue').implement({
  description: 'What is wrong with one field of the input.',
  fields: (t) => ({
    field: t.exposeString('field', { description: 'Path of the field in the input, such as `maxDuration`.' }),
    message: t.exposeString('message', { description: 'What was expected.' }),
  }),
});

builder.objectType(ValidationError, {
  name: 'ValidationError',
  description: 'The input is malformed or out of range.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    issues: t.expose('issues', { type: [FieldIssueType], description: 'Every field that is wrong.' }),
  }),
});

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'There is no such thing, or these credentials do not reach it.',
  interfaces: [ErrorInterface],
});

builder.objectType(InvalidStateError, {
  name: 'InvalidStateError',
  description: "The job's state does not allow this.",
  interfaces: [ErrorInterface],
  fields: (t) => ({
    state: t.field({
      type: JobStateEnum,
      description: 'The state the job is in.',
      resolve: ({ state }) => state as JobState,
    }),
  }),
});

builder.objectType(ConflictError, {
  name: 'ConflictError',
  description: 'The request id was used before with another input.',
  interfaces: [ErrorInterface],
});

builder.objectType(UrlRefusedError, {
  name: 'UrlRefusedError',
  description: 'The URL of a page or a callback leads to an address that this service may not reach.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    url: t.exposeString('url', { description: 'The URL that was refused.' }),
  }),
});

builder.objectType(PartsGoneError, {
  name: 'PartsGoneError',
  description: 'What was recorded is not kept any more, or nothing was recorded.',
  interfaces: [ErrorInterface],
});

builder.objectType(UnavailableError, {
  name: 'UnavailableError',
  description:
    'The engine did not answer in time, and the request may still take effect; or the machine that is needed is away.',
  interfaces: [ErrorInterface],
});

builder.objectType(CapacityError, {
  name: 'CapacityError',
  description: 'All there is of something, such as ports for inputs, is in use. Nothing was done.',
  interfaces: [ErrorInterface],
});

builder.objectType(HeldError, {
  name: 'HeldError',
  description: 'A file is held, and is removed by nobody before `setHold` lets it go. Nothing was done.',
  interfaces: [ErrorInterface],
});
