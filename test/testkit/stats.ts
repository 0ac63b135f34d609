/** Statistics as a worker would write them, of jobs and sessions that nothing records. */
import { v7 as uuid } from 'uuid';
import type { Database } from '../../src/db.js';
import { createWake, statsChannel } from '../../src/events/outbox.js';
import type { SessionFigures } from '../../src/events/stats-readings.js';
import type { JobStats } from '../../src/generated/prisma/client.js';
import type { LinkStats } from '../../src/jobs/capture.js';
import { createRoom, unheededSince } from './jobs.js';

/** Of an SRT link, as it is written with each. */
export const writtenLink: LinkStats = {
  ...{ bitrate: 2_400_000, rttMs: 12.5, bufferMs: 118, packetsReceived: 5_000_000_000, packetsLost: 3 },
  ...{ packetsRetransmitted: 2, packetsDropped: 1, capacity: 90_000_000, activeStreams: 1 },
};

/** Writes the job's statistics and announces them; `frames` tells one value from another. */
export async function writeJobStats(db: Database, jobId: string, frames: number): Promise<JobStats> {
  const stats = await writeJobStatsUnannounced(db, jobId, frames);
  createWake(db)(statsChannel);
  return stats;
}

/** The same, but nobody is told to look. */
export function writeJobStatsUnannounced(db: Database, jobId: string, frames: number): Promise<JobStats> {
  const counts = {
    frames,
    bytes: frames * 1_000,
    positionMs: frames * 33,
    pageFrames: frames,
    dropped: 1,
    duplicated: 2,
  };
  const rates = { fps: 29.97, bitrate: 2.5e6, speed: 1.01, progress: 12.5 };
  const values = { incarnation: 1, ...counts, ...rates, link: { ...writtenLink }, updatedAt: new Date() };
  return db.jobStats.upsert({ where: { jobId }, create: { jobId, ...values }, update: values });
}

/** Writes the session's statistics and announces them. */
export async function writeSessionStats(db: Database, sessionId: string, sourceBytes: number): Promise<SessionFigures> {
  const values = {
    sourceBytes,
    transcodedBytes: sourceBytes * 2,
    ingestRate: 125_000.5,
    outgoingRate: 250_000,
    isHealthy: false,
    issues: ['No audio arrives.', 'Packets are lost.'],
    updatedAt: new Date(),
  };
  const stats = await db.sessionStats.upsert({
    where: { sessionId },
    create: { sessionId, ...values },
    update: values,
    omit: { counters: true },
  });
  createWake(db)(statsChannel);
  return stats;
}

/** A session in a room of its own, which nobody publishes in and nothing ends. */
export async function createSession(db: Database, projectId: string): Promise<{ roomId: string; sessionId: string }> {
  const [roomId, sessionId] = [await createRoom(db, projectId), uuid()];
  await db.session.create({
    data: { id: sessionId, projectId, roomId, playbackId: sessionId, lastSeenAt: unheededSince },
  });
  return { roomId, sessionId };
}
