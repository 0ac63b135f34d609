/** What the gate says when it does not let something pass, or cannot reach it. */

/** Why an address was refused. */
export type RefusalReason = 'malformed' | 'too-long' | 'scheme' | 'credentials' | 'port' | 'address';

/** The address may not be reached from here, whoever asks. `message` says why, and what to do. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
  readonly code = 'ADDRESS_REFUSED';
  constructor(
    readonly reason: RefusalReason,
    message: string,
  ) {
    super(message);
  }
}

/** The address may be reached, but no connection came about: unknown name, nobody listening, no answer in time. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly code = 'UNREACHABLE';
}
