/** Records participants of a room, or media elements of a page, to files of their own, beside the recording of the page. */
import type { Page } from 'puppeteer';
import { loadConfig } from '../../src/config.js';
import type { PageSpec } from '../../src/jobs/capture.js';
import { createLogger } from '../../src/logger.js';
import type { TrackKind } from '../../src/media/media-server.js';
import type { WarningBoard } from '../host/warning-board.js';
import type { Wish } from '../host/wish.js';
import type { ManifestWriter } from '../parts/manifest.js';
import { recordElements } from './element-tracks.js';
import { createTrackLedger } from './ledger.js';
import { recordRoom } from './room-tracks.js';

export interface Tracks {
  /** The page is being recorded: so are tracks, from now on, but for pauses. */
  begin(): void;
  /** A page was opened, and has not gone anywhere yet. Null where its elements are not recorded. */
  prepare: ((page: Page) => Promise<void>) | null;
  /** Ends all files. Never throws. */
  close(): Promise<void>;
}

export interface TracksOptions {
  spec: PageSpec;
  folder: string;
  wish: Wish;
  manifest: ManifestWriter;
  warnings: WarningBoard;
  note: (text: string) => void;
}

/** Null when the job has no files but the page's own. */
export function startTracks({ spec, folder, wish, manifest, warnings, note }: TracksOptions): Tracks | null {
  const { source, publication, tools } = spec;
  if (!source.individual) return null;
  const ledger = createTrackLedger({ folder, manifest, warnings, note });
  // A host that goes on for another need not wait for its page.
  let hasBegun = spec.endsAt !== null;
  const config = loadConfig();
  const kinds: TrackKind[] = [];
  if (source.hasAudio !== false) kinds.push('AUDIO');
  if (source.hasVideo !== false) kinds.push('VIDEO');
  const elements = source.room ? null : recordElements({ ledger, folder, kinds });
  const recording =
    elements ??
    recordRoom({
      ...{ config, kinds, ledger, folder, ffmpeg: tools.ffmpeg, log: createLogger(config, 'tracks') },
      ...{ roomId: source.room?.roomId as string, users: null, joinAs: null, except: publication?.mediaId ?? null },
    });
  const follow = () => recording.set(hasBegun && wish.current() === 'record');
  wish.onChange(follow);
  follow();
  return {
    begin() {
      hasBegun = true;
      follow();
    },
    prepare: elements && ((page) => elements.prepare(page)),
    close: () => recording.close(),
  };
}
