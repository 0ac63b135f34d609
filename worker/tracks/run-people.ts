/** Records people of a room one by one, each as they send, from when the first of them comes until it is over. */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../src/config.js';
import type { HostOutcome, PeopleSource, PeopleSpec } from '../../src/jobs/capture.js';
import { failure } from '../../src/jobs/reasons.js';
import { warningCodes } from '../../src/jobs/warnings.js';
import { createLogger } from '../../src/logger.js';
import type { TrackKind } from '../../src/media/media-server.js';
import { watchDisk } from '../host/disk-watch.js';
import { everySecond } from '../host/heartbeat.js';
import type { HostKit } from '../host/kit.js';
import { createPhaseKeeper } from '../host/phase.js';
import { createTimeLimit } from '../host/time-limit.js';
import { createCondition } from '../host/warning-board.js';
import { createTrackLedger, trackBytesIn } from './ledger.js';
import { recordRoom } from './room-tracks.js';
import { createStretches } from './stretches.js';

/** The end of the maximum duration is met to the frame, whoever comes and goes; all else may be late by this. */
const lookMs = 500;
// People who change what they send are away for a moment; less is no matter for others.
const missing = { raiseAfterMs: 5_000, clearAfterMs: 0 };

/** Records to the end. Leaves nothing running. Throws what nobody foresaw. */
export async function runPeople(spec: PeopleSpec, kit: HostKit): Promise<HostOutcome> {
  const { folder, end, wish, manifest, totals, warnings, note } = kit;
  const { source, tools } = spec;
  const config = loadConfig();
  const limit = createTimeLimit(spec, wish);
  const phase = createPhaseKeeper({ hold: spec.hold, wish, setPhase: kit.setPhase });
  const trackBytes = () => trackBytesIn(dirname(folder));
  const earlierBytes = trackBytes();
  const disk = watchDisk({
    ...{ folder, reserveBytes: spec.diskReserveBytes, warnings },
    recorded: () => ({ bytes: 0, parts: 0, trackBytes: trackBytes() }),
    wanted: {},
  });
  let wasRecorded = spec.endsAt !== null;
  let absentSinceMs = performance.now();
  const stretches = createStretches({
    ...{ ledger: createTrackLedger({ folder, manifest, warnings, note }), manifest, totals },
    bytes: () => trackBytes() - earlierBytes,
    isSuspending: () => end.current()?.kind === 'suspended',
    onBegin(at) {
      note(`somebody is recorded since ${new Date(at).toISOString()}`);
      wasRecorded = true;
      limit.began(at);
      phase.recording();
    },
    onEnd() {
      note('nobody is recorded any more');
      absentSinceMs = performance.now();
      phase.interrupted();
    },
  });
  const recording = recordRoom({
    ...{ config, folder, kinds: kindsOf(source), ledger: stretches.ledger, ffmpeg: tools.ffmpeg },
    ...{ roomId: source.roomId, users: source.users, joinAs: source.joinAs, except: null },
    log: createLogger(config, 'people'),
  });
  const follow = () => recording.set(wish.current() === 'record');
  wish.onChange(() => {
    absentSinceMs = performance.now();
    follow();
  });
  const absence = createCondition(warnings, 'SOURCE_MISSING', missing);
  const stopLooking = everySecond(() => {
    stretches.look();
    absence.see(wish.current() === 'record' && !stretches.isOpen(), () => waitedFor(source));
  });

  try {
    phase.opened();
    follow();
    for (;;) {
      const asked = end.current();
      if (asked) return asked;
      const full = disk.failure();
      if (full) return { kind: 'failed', failure: full };
      const leftMs = limit.leftMs() ?? Number.POSITIVE_INFINITY;
      if (leftMs <= 0) return { kind: 'max-duration' };
      if (wish.current() === 'record' && !stretches.isOpen() && absentMs() >= waitMs()) return gone();
      await Promise.race([sleep(Math.min(lookMs, leftMs)), end.requested]);
    }
  } finally {
    kit.setPhase('STOPPING');
    stopLooking();
    await Promise.all([recording.close(), kit.outlets.close()]);
    disk.close();
    warnings.clear(...warningCodes);
  }

  function absentMs(): number {
    return performance.now() - absentSinceMs;
  }

  function waitMs(): number {
    return wasRecorded ? source.idleTimeoutMs : source.connectTimeoutMs;
  }

  function gone(): HostOutcome {
    if (wasRecorded) return { kind: 'source-ended' };
    return { kind: 'failed', failure: failure('SOURCE_UNREACHABLE', waitedFor(source)) };
  }
}

function kindsOf({ output }: PeopleSource): TrackKind[] {
  return [...(output.hasAudio ? ['AUDIO' as const] : []), ...(output.hasVideo ? ['VIDEO' as const] : [])];
}

const waitedFor = ({ users }: PeopleSource): string =>
  users ? `None of ${users.join(', ')} publishes in the room.` : 'Nobody publishes in the room.';
