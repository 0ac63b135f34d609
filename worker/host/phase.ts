/** Which phase a host is in, as it follows from what is wished and what has happened. */
import type { HostPhase, HostSpec } from '../../src/jobs/capture.js';
import type { Wish } from './wish.js';

export interface PhaseKeeper {
  /** The source is open: what is to wait waits from now on. */
  opened(): void;
  /** The first frame of a part is there. */
  recording(): void;
  /** A part has ended, and another will follow. */
  interrupted(): void;
}

/**
 * Between parts a host is PAUSED or RECONNECTING, by its wish. Before its first part it is STARTING, in STANDBY once the
 * source is open if it was to be begun, and stays so until the first frame.
 */
export function createPhaseKeeper(options: {
  hold: HostSpec['hold'];
  wish: Wish;
  setPhase: (phase: HostPhase) => void;
}): PhaseKeeper {
  const { wish } = options;
  let shown: HostPhase = 'STARTING';
  let wasBegun = options.hold !== 'standby';
  let isOpen = false;
  let isRecording = false;
  const show = (phase: HostPhase) => {
    if (phase === shown) return;
    shown = phase;
    options.setPhase(phase);
  };
  const showWaiting = () => {
    if (isRecording || !isOpen) return;
    if (wish.current() === 'pause') show(wasBegun ? 'PAUSED' : 'STANDBY');
    else if (shown === 'RECORDING' || shown === 'PAUSED') show('RECONNECTING');
  };
  wish.onChange(() => {
    wasBegun ||= wish.current() === 'record';
    showWaiting();
  });
  return {
    opened() {
      isOpen = true;
      showWaiting();
    },
    recording() {
      isRecording = true;
      show('RECORDING');
    },
    interrupted() {
      isRecording = false;
      showWaiting();
    },
  };
}
