/** What players get of a recording beside the file to download: its renditions, or where these cannot be made, itself. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlaybackProfile } from '../../src/rooms/profiles.js';
import { masterName, renditionMedia, renditionPlaylist } from '../../src/rooms/renditions.js';
import type { PlayerPieces } from '../../src/services/deliverables.js';
import type { DeliveredFile } from '../../src/services/delivered-files.js';
import { type MediaTools, ToolError } from '../ffmpeg/run.js';
import { makeRenditions, type Rendition } from './renditions.js';

type About = Omit<DeliveredFile, 'storageKey' | 'sizeBytes' | 'sha256'>;

export interface PlayableFile {
  path: string;
  about: About;
}

export interface PlayableOptions {
  /** The recording, mp4. */
  file: string;
  profiles: readonly PlaybackProfile[];
  /** Nothing is encoded: it took too long before, or was broken off. */
  asIs?: boolean;
  workFolder: string;
  tools: MediaTools;
  signal?: AbortSignal;
  /** 0 to 1. */
  onProgress?: (fraction: number) => void;
  /** Told each time that less than was wanted can be made. */
  onProblem?: (error: unknown) => void;
}

const playlistType = 'application/vnd.apple.mpegurl';

/**
 * Makes the renditions; what takes too long, or cannot be encoded, is played as it was recorded. Null where there is no
 * picture, or no room for even that: the recording itself is worth more. Throws ToolError where ffmpeg cannot be started, or
 * the signal's reason.
 */
export async function makePlayable(
  options: PlayableOptions,
): Promise<{ files: PlayableFile[]; pieces: PlayerPieces } | null> {
  const folder = join(options.workFolder, 'renditions');
  let made = null as Awaited<ReturnType<typeof makeRenditions>>;
  for (const asIs of options.asIs ? [true] : [false, true]) {
    try {
      await mkdir(folder, { recursive: true });
      made = await makeRenditions({ ...options, folder, asIs });
      break;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof ToolError && error.kind === 'not-started') throw error;
      options.onProblem?.(error);
      // What is there of them may be what fills the disk.
      await rm(folder, { recursive: true, force: true });
    }
  }
  if (!made) return null;
  const files = [
    { path: made.master, about: { kind: 'PLAYLIST', name: masterName, mediaType: playlistType } as const },
    ...made.renditions.flatMap(filesOf),
  ];
  return { files, pieces: countedIn(made.renditions) };
}

function filesOf({ name, playlist, media, durationMs, width, height }: Rendition): PlayableFile[] {
  const picture = { durationMs, width, height };
  return [
    { path: playlist, about: { kind: 'PLAYLIST', name: renditionPlaylist(name), mediaType: playlistType, ...picture } },
    { path: media, about: { kind: 'SEGMENTS', name: renditionMedia(name), mediaType: 'video/mp4', ...picture } },
  ];
}

function countedIn(renditions: readonly Rendition[]): PlayerPieces {
  const sum = (isCopy: boolean, of: (rendition: Rendition) => number) =>
    renditions.filter((each) => each.isCopy === isCopy).reduce((total, each) => total + of(each), 0);
  return {
    source: { count: sum(true, ({ pieces }) => pieces), durationMs: sum(true, ({ durationMs }) => durationMs) },
    transcoded: {
      count: sum(false, ({ pieces }) => pieces),
      durationMs: sum(false, ({ durationMs }) => durationMs),
      bytes: sum(false, ({ bytes }) => bytes),
    },
  };
}
