/** What a stream is recorded by, as it changes while it is recorded. */
import type { RecordingConfig } from '../../src/recordings/config.js';

export interface Changes {
  current(): RecordingConfig;
  /** Changes nothing when it is the same as now. */
  set(recording: RecordingConfig): void;
  /** Called after each change. */
  onChange(listener: () => void): void;
}

export function createChanges(first: RecordingConfig): Changes {
  let current = first;
  let text = JSON.stringify(first);
  const listeners: (() => void)[] = [];
  return {
    current: () => current,
    set(recording) {
      const next = JSON.stringify(recording);
      if (next === text) return;
      current = recording;
      text = next;
      for (const listener of listeners) listener();
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
