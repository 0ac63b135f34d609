/** A process of the benchmark that records participants as a recorder host does: relays and writers, and nothing else. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/config.js';
import type { ForwardWish } from '../src/media/media-server.js';
import { createWarningBoard } from '../worker/host/warning-board.js';
import { openManifest, readManifest } from '../worker/parts/manifest.js';
import { createTrackLedger } from '../worker/tracks/ledger.js';
import { type PublicationRecording, recordPublication } from '../worker/tracks/publication.js';
import { answer } from './child.js';

const folder = mkdtempSync(join(tmpdir(), 'tapedeck-bench-'));
const recordings: PublicationRecording[] = [];

/** Port, and the SSRC of what comes there. */
export type Destination = Pick<ForwardWish, 'port' | 'ssrc'>;
export type TracksHost = typeof handlers;
const handlers = {
  /** Begins to record so many participants; answers where each one's sound and picture are to be sent. */
  async begin(participants: number): Promise<{ audio: Destination; video: Destination }[]> {
    const manifest = openManifest(folder);
    const note = (text: string) => process.stderr.write(text.includes('DIED') ? `${text}\n` : '');
    const ledger = createTrackLedger({ folder, manifest, warnings: createWarningBoard(note), note });
    return Promise.all(
      [...Array(participants).keys()].map(
        (index) =>
          new Promise<{ audio: Destination; video: Destination }>((resolve) => {
            const recording = recordPublication({
              participant: {
                ...{ mediaId: `b.p${index}.0123456789ab`, name: `Participant ${index}` },
                tracks: [
                  { mid: '0', kind: 'AUDIO', codec: 'opus', source: null },
                  { mid: '1', kind: 'VIDEO', codec: 'vp8', source: null },
                ],
              },
              source: {
                ...{ address: '127.0.0.1', from: '127.0.0.1', stopForward: async () => {} },
                async forward([audio, video]) {
                  if (audio && video) resolve({ audio, video });
                  return [];
                },
              },
              ...{ ledger, ffmpeg: loadConfig().recorder.ffmpeg, folder },
            });
            recordings.push(recording);
          }),
      ),
    );
  },
  /** Participants whose media is in a file by now. */
  writing: () => readManifest(folder).entries.filter(({ type }) => type === 'track-first-media').length,
  /** Answers how many bytes were recorded. */
  async end(): Promise<number> {
    await Promise.all(recordings.map((recording) => recording.end('STOPPED')));
    const ends = readManifest(folder).entries.filter((entry) => entry.type === 'track-ended');
    rmSync(folder, { recursive: true });
    return ends.reduce((sum, { bytes }) => sum + bytes, 0);
  },
};
answer(handlers);
