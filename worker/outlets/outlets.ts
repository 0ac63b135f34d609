/** Everything that is made of a recording while it goes on, beside the recording, which none of it can slow down. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EgressPolicy, partFile, type TargetSpec, type TargetStatus } from '../../src/jobs/capture.js';
import { createGate } from '../../src/net/gate.js';
import { livePieces } from '../../src/rooms/live-playlist.js';
import { type LiveOptions, makeLive } from './live.js';
import { createPartLine } from './part-line.js';
import { cutPieces, type PiecesOptions } from './pieces.js';
import { createPreview } from './preview.js';
import { startTarget, type Target } from './target.js';

/** What was recorded last is sent on, and servers told that it was all, within this. */
const closeLimitMs = 3_000;

export interface Outlets {
  partBegan(part: number): void;
  partEnded(part: number): void;
  /** Makes the targets these: what is missing is taken away, what is known goes on. */
  arrange(targets: readonly TargetSpec[]): void;
  /** Whether somebody looks at what is recorded meanwhile. */
  preview(isWanted: boolean): void;
  /** Of those that were taken away too. */
  statuses(): TargetStatus[];
  /** To be called when no part follows any more. Resolves within about 3 s. */
  close(): Promise<void>;
}

export interface OutletsOptions {
  /** The incarnation's folder. */
  folder: string;
  ffmpeg: string;
  egress: EgressPolicy;
  note: (text: string) => void;
  pieces: Pick<LiveOptions, 'jobId' | 'incarnation' | 'store'>;
  /** Everything can be played while it goes on, whether somebody looks or not. */
  live: boolean;
  /** Files that a split recording is cut into while it goes on; left out or null: none. */
  split?: Pick<PiecesOptions, 'tools' | 'outputOf' | 'partZeroAt' | 'append'> | null;
}

export function createOutlets({ folder, ffmpeg, egress, note, pieces, live, split }: OutletsOptions): Outlets {
  const parts = createPartLine();
  const over = new AbortController();
  let cuts = 0;
  const cutting = { ...pieces, folder, parts, ffmpeg, note, nextCut: () => ++cuts };
  const allPieces = live && makeLive({ ...cutting, from: 'first', kept: livePieces, signal: over.signal });
  const preview = live ? null : createPreview(cutting);
  const splitting = split && cutPieces({ ...split, folder, parts, note, signal: over.signal });
  // What a page may reach of ours is nothing that a client may have media sent to.
  const gate = createGate({ policy: { ...egress, allowedHosts: [] } });
  const targets = new Map<string, Target>();
  const removed = new Set<string>();

  function remove(id: string): Promise<void> {
    removed.add(id);
    return (targets.get(id) as Target).remove();
  }

  return {
    partBegan: (part) => parts.began(part, join(folder, partFile(part))),
    partEnded: (part) => parts.ended(part),
    arrange(wanted) {
      for (const id of targets.keys()) if (!removed.has(id) && !wanted.some((each) => each.id === id)) void remove(id);
      for (const spec of wanted)
        if (!targets.has(spec.id)) targets.set(spec.id, startTarget({ spec, parts, gate, ffmpeg, note }));
    },
    preview: (isWanted) => preview?.want(isWanted),
    statuses: () => [...targets.values()].map((target) => target.status()),
    async close() {
      parts.close();
      const all = [...targets.values()];
      await Promise.race([
        Promise.all([...all.map(({ ended }) => ended), allPieces, preview?.close(), splitting]),
        sleep(closeLimitMs),
      ]);
      over.abort(new Error('The recording is over.'));
      await Promise.race([Promise.all(all.map((target) => target.remove())), sleep(closeLimitMs)]);
    },
  };
}
