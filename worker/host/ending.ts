/** Why a part, or a time without one, is over, and what follows. */
import type { HostOutcome, PartEnd } from '../../src/jobs/capture.js';
import { failure } from '../../src/jobs/reasons.js';
import type { CaptureEnd } from '../recorders/page.js';

export interface Ending {
  cause: PartEnd;
  /** Null: a pause, or a fault, after which recording goes on. */
  outcome: HostOutcome | null;
  /** What is known about a fault. */
  detail: string;
}

export function fault(cause: PartEnd, detail: string): Ending {
  return { cause, outcome: null, detail };
}

export const paused: Ending = { cause: 'PAUSED', outcome: null, detail: '' };

export const isFault = ({ cause, outcome }: Ending): boolean => outcome === null && cause !== 'PAUSED';

/** Whether it takes more than another encoder to go on. */
export const isSourceFault = (ending: Ending): boolean =>
  isFault(ending) && ending.cause !== 'ENCODER_DIED' && ending.cause !== 'ENCODER_STALLED';

/** The end that was asked for, or reached. */
export function finished(outcome: HostOutcome): Ending {
  const goesOn = outcome.kind === 'suspended' || outcome.kind === 'lease-expired';
  return { cause: goesOn ? 'SUSPENDED' : 'STOPPED', outcome, detail: '' };
}

/** What the end of the source means. */
export function endedWithCapture(ended: CaptureEnd): Ending {
  if (ended.kind === 'fault') return fault(ended.cause, ended.detail);
  if (ended.kind === 'session-ended') return finished({ kind: 'session-ended' });
  return finished({ kind: 'failed', failure: failure('PAGE_CLOSED') });
}
