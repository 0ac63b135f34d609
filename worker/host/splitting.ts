/** What a split recording's pieces are cut by: how each part was to be split, and when its media began. */
import type { ManifestEntry } from '../../src/jobs/capture.js';
import type { RecordingConfig, RecordingOutput } from '../../src/recordings/config.js';
import type { OutletsOptions } from '../outlets/outlets.js';
import type { ManifestWriter } from '../parts/manifest.js';

export interface Splitting {
  /** For the outlets; null where nothing is a recording. */
  split: OutletsOptions['split'];
  /** To be called when a part begins, before the outlets are told. */
  partBegan(part: number): void;
  /** The manifest, whose entries are noted on their way. */
  noting(manifest: ManifestWriter): ManifestWriter;
}

/** `current`: what is recorded by now; null for a job that is no recording. */
export function createSplitting(
  current: () => RecordingConfig | null,
  tools: NonNullable<OutletsOptions['split']>['tools'],
): Splitting {
  const outputs = new Map<number, RecordingOutput>();
  const zeros = new Map<number, number>();
  let writer: ManifestWriter | null = null;
  const usual = current()?.output;
  return {
    split: usual
      ? {
          tools,
          outputOf: (part) => outputs.get(part) ?? usual,
          partZeroAt: (part) => zeros.get(part) ?? null,
          append: (entry) => writer?.append(entry),
        }
      : null,
    partBegan(part) {
      const output = current()?.output;
      if (output) outputs.set(part, output);
    },
    noting(manifest) {
      writer = manifest;
      return {
        append(entry: ManifestEntry) {
          if (entry.type === 'first-frame') zeros.set(entry.part, entry.at);
          manifest.append(entry);
        },
        close: () => manifest.close(),
      };
    },
  };
}
