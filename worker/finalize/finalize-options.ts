/** What a job's files are made of, and how. */
import type { PeopleSource } from '../../src/jobs/capture.js';
import type { RecordingOutput } from '../../src/recordings/config.js';
import type { PlaybackProfile } from '../../src/rooms/profiles.js';
import type { Storage } from '../../src/storage/storage.js';
import type { NamedFile } from '../../src/tasks/file-names.js';
import type { MediaTools } from '../ffmpeg/run.js';

export interface FinalizeOptions {
  /** `jobs/<jobId>` in the data directory of the machine that recorded. */
  jobFolder: string;
  jobId: string;
  /** Counts up when the files are made again. */
  version?: number;
  /** What earlier files hold, milliseconds: less is not worth another version. */
  leastMs?: number;
  /** The user's name for it; becomes part of the file names. */
  name: string;
  /** A tar is made although nobody was there to be recorded to a file of their own. */
  individual?: boolean;
  /** False: the files have no sound, or no picture, though both were captured. */
  hasAudio?: boolean;
  hasVideo?: boolean;
  /** What is made of a run of a recording; left out: MP4, as of an archive. */
  output?: RecordingOutput;
  /** The people who were recorded one by one, whose files are made instead of any of parts. */
  people?: PeopleSource;
  /** Names a file, without its ending, otherwise than by `name`; no name is given twice. */
  fileName?: (file: Omit<NamedFile, 'taskId'>) => string;
  /** Pieces of a split recording that were delivered in this version already, by their names; they are not made again. */
  deliveredPieces?: ReadonlySet<string>;
  /** Renditions for players are made too, of the recording's longest file. */
  profiles?: readonly PlaybackProfile[];
  /** It was tried before: renditions are not encoded again, since that may be what took the time. */
  isRepeated?: boolean;
  storage: Pick<Storage, 'put'>;
  tools: MediaTools;
  signal?: AbortSignal;
  /** Called at least once a second while ffmpeg works; 0 to 1. */
  onProgress?: (fraction: number) => void;
  /** Told why players get less than was wanted. */
  onUnplayable?: (error: unknown) => void;
}
