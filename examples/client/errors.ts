/** What can go wrong between a client and the service, as one class with stable codes. */

/** An error as GraphQL writes it. */
export interface GraphqlError {
  message: string;
  extensions?: Record<string, unknown>;
}

/** The service, or the way to it, did not do what was asked. Expected failures of mutations are results, not errors. */
export class TapedeckError extends Error {
  override readonly name = 'TapedeckError';
  /** One of the service's stable codes; UNAVAILABLE also for a service that is not reached, PROTOCOL for a client that it cannot understand. */
  readonly code: string;
  /** Whether the same may well succeed later. Streams try again by themselves, and pass on what is left then. */
  readonly temporary: boolean;

  constructor(code: string, message: string, options: { temporary?: boolean; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.temporary = options.temporary ?? temporaryCodes.includes(code);
  }
}

const temporaryCodes: readonly string[] = ['INTERNAL', 'UNAVAILABLE'];

/** The close code of a connection whose credentials are not, or no longer, good. */
export const refused = 4403;

/** Close codes that blame what this client said: it would say the same again. */
const misunderstood: readonly number[] = [1009, 4400, 4401, 4406, 4409, 4429];

export function errorOfAnswer(errors: readonly GraphqlError[]): TapedeckError {
  const code = String(errors[0]?.extensions?.code ?? 'INTERNAL');
  return new TapedeckError(code, errors.map(({ message }) => message).join('\n'));
}

/** Subscriptions end with a bare list of errors, the event that closed the socket, or that of a socket that never opened. */
export function errorOfSubscription(reason: unknown): Error {
  if (Array.isArray(reason)) return errorOfAnswer(reason);
  if (isCloseEvent(reason)) {
    const message = `The connection was closed: ${reason.reason || 'no reason was given'} (${reason.code}).`;
    if (reason.code === refused) return new TapedeckError('UNAUTHENTICATED', message);
    return new TapedeckError(misunderstood.includes(reason.code) ? 'PROTOCOL' : 'UNAVAILABLE', message);
  }
  if (reason instanceof TapedeckError) return reason;
  return unreachable(reason);
}

export function unreachable(cause: unknown): TapedeckError {
  // What `fetch` throws in Node says only that it failed; the reason is in its own cause.
  const { message, cause: reason } = (cause ?? {}) as { message?: string; cause?: { message?: string } };
  const why = reason?.message || message || 'no reason was given';
  return new TapedeckError('UNAVAILABLE', `The service could not be reached: ${why}.`, { cause });
}

export function isCloseEvent(reason: unknown): reason is { code: number; reason: string } {
  return typeof reason === 'object' && reason !== null && 'code' in reason && 'reason' in reason;
}
