/** The first wish to end a host, whoever has it: a command, a signal, the lease. Later wishes change nothing. */
import type { HostOutcome } from '../../src/jobs/capture.js';

type RequestedEnd = Exclude<HostOutcome, { kind: 'failed' }>;

export interface EndRequest {
  /** Aborted when the end is asked for. */
  signal: AbortSignal;
  /** Resolves with the outcome that was asked for. */
  requested: Promise<RequestedEnd>;
  /** The outcome that was asked for, null as long as nobody did. */
  current(): RequestedEnd | null;
  ask(outcome: RequestedEnd): void;
}

export function createEndRequest(): EndRequest {
  const controller = new AbortController();
  let current: RequestedEnd | null = null;
  const requested = new Promise<RequestedEnd>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve(current as RequestedEnd), { once: true });
  });
  return {
    signal: controller.signal,
    requested,
    current: () => current,
    ask(outcome) {
      if (current) return;
      current = outcome;
      controller.abort(new Error(`The host was asked to end: ${outcome.kind}`));
    },
  };
}
