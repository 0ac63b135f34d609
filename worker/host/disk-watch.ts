/** Watches the space that is left for the parts, so that recording ends in good order before there is none. */
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import { freeIn, joiningBytes, type Recorded, type WantedFiles } from '../parts/room.js';
import { everySecond } from './heartbeat.js';
import type { WarningBoard } from './warning-board.js';

const lowFactor = 2;
// Space comes and goes by a little while others write; the warning shall not come and go with it.
const wellFactor = 2.2;

export interface DiskWatch {
  /** Why there is not room enough to record on, as it was seen within the last second; null while there is. */
  failure(): JobFailure | null;
  close(): void;
}

/**
 * Looks once a second at the file system of `folder`, and puts up DISK_LOW below twice the limit. The limit is what is
 * always to stay free, and what making the job's files will need.
 */
export function watchDisk(options: {
  folder: string;
  reserveBytes: number;
  /** What has been recorded of the job so far, by earlier hosts too. */
  recorded: () => Recorded;
  wanted: WantedFiles;
  warnings: WarningBoard;
}): DiskWatch {
  const { folder, warnings } = options;
  const look = () => {
    const freeBytes = knownFree(folder);
    if (freeBytes === null) return null;
    const limitBytes = options.reserveBytes + joiningBytes(options.recorded(), options.wanted);
    const detail = `${megabytes(freeBytes)} are free where ${folder} is; recording ends below ${megabytes(limitBytes)}.`;
    if (freeBytes < limitBytes * lowFactor) warnings.raise('DISK_LOW', detail);
    if (freeBytes > limitBytes * wellFactor) warnings.clear('DISK_LOW');
    return freeBytes < limitBytes ? failure('DISK_FULL', detail) : null;
  };
  let latest = look();
  const close = everySecond(() => {
    latest = look();
  });
  return { failure: () => latest, close };
}

/** For a write that found no room, which the watch did not foresee. */
export function diskFull(folder: string): JobFailure {
  return failure('DISK_FULL', `Nothing more could be written to ${folder}.`);
}

/** Null when it cannot be told: whatever is wrong with the folder then, the encoder meets it too and says it better. */
function knownFree(folder: string): number | null {
  try {
    return freeIn(folder);
  } catch {
    return null;
  }
}

const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_048_576)} MB`;
