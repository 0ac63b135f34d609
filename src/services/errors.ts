/** Failures a client can act on. The schema shows each as a member of the result unions, with its code. */

export const errorCodes = [
  'VALIDATION_FAILED',
  'NOT_FOUND',
  'INVALID_STATE',
  'CONFLICT',
  'URL_REFUSED',
  'PARTS_GONE',
  'UNAVAILABLE',
  'NO_CAPACITY',
  'HELD',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** An expected failure: `message` says what was wrong, what was expected, and what to do. */
export abstract class ExpectedError extends Error {
  abstract readonly code: ErrorCode;
}

export interface FieldIssue {
  /** Path in the input, such as `maxDuration`. */
  field: string;
  message: string;
}

/** The input is malformed or out of range. */
export class ValidationError extends ExpectedError {
  override readonly name = 'ValidationError';
  readonly code = 'VALIDATION_FAILED';
  constructor(readonly issues: FieldIssue[]) {
    super(issues.map((issue) => `${issue.field}: ${issue.message}`).join('\n'));
  }
}

/** No such thing, or it belongs to another project. */
export class NotFoundError extends ExpectedError {
  override readonly name = 'NotFoundError';
  readonly code = 'NOT_FOUND';
}

/** The job's state does not allow this. */
export class InvalidStateError extends ExpectedError {
  override readonly name = 'InvalidStateError';
  readonly code = 'INVALID_STATE';
  constructor(
    /** The state the job is in. */
    readonly state: string,
    message: string,
  ) {
    super(message);
  }
}

/** The request id was used before with other contents. */
export class ConflictError extends ExpectedError {
  override readonly name = 'ConflictError';
  readonly code = 'CONFLICT';
}

/** The URL leads where recordings may not go. */
export class UrlRefusedError extends ExpectedError {
  override readonly name = 'UrlRefusedError';
  readonly code = 'URL_REFUSED';
  constructor(
    readonly url: string,
    message: string,
  ) {
    super(message);
  }
}

/** There is nothing any more, or never was, to make files of. */
export class PartsGoneError extends ExpectedError {
  override readonly name = 'PartsGoneError';
  readonly code = 'PARTS_GONE';
}

/** The engine did not answer in time; the request may still take effect. */
export class UnavailableError extends ExpectedError {
  override readonly name = 'UnavailableError';
  readonly code = 'UNAVAILABLE';
}

/** All there is of something is in use; nothing was done. */
export class CapacityError extends ExpectedError {
  override readonly name = 'CapacityError';
  readonly code = 'NO_CAPACITY';
}

/** Files that are held are removed by nobody. */
export class HeldError extends ExpectedError {
  override readonly name = 'HeldError';
  readonly code = 'HELD';
}
