/** Recordings, their runs and files as rows, of which no engine knows. */
import { v7 as uuid } from 'uuid';
import type { Database } from '../../src/db.js';
import type { File, Prisma } from '../../src/generated/prisma/client.js';
import type { JobState } from '../../src/jobs/states.js';
import type { RecordingConfig } from '../../src/recordings/config.js';
import { createJobRow } from './jobs.js';
import { recordingOf } from './recording-config.js';

/** Of an HLS playlist that is not there, and not running, unless told. */
export async function createRecordingRow(
  db: Database,
  projectId: string,
  data: Partial<Omit<Prisma.RecordingUncheckedCreateInput, 'config'>> & { config?: RecordingConfig } = {},
): Promise<string> {
  const { config = recordingOf({ input: { type: 'HLS', url: 'http://10.0.0.1/a.m3u8' } }), ...more } = data;
  const id = data.id ?? uuid();
  await db.recording.create({
    data: {
      ...{ id, projectId, name: 'Row', active: false, inputType: config.input.type, format: config.output.format },
      config: config as unknown as Prisma.InputJsonObject,
      ...more,
    },
  });
  return id;
}

/** A run of a recording; answers the id of its job. */
export async function createRunRow(
  db: Database,
  projectId: string,
  recordingId: string,
  state: JobState = 'COMPLETE',
): Promise<string> {
  const jobId = await createJobRow(db, projectId, state);
  const { config } = await db.recording.findUniqueOrThrow({ where: { id: recordingId } });
  await db.job.update({
    where: { id: jobId },
    data: {
      ...{ recordingId, kind: 'RECORDING', source: { kind: 'stream', recording: config as Prisma.InputJsonObject } },
      ...(['COMPLETE', 'PARTIAL', 'FAILED'].includes(state) ? { endedAt: new Date(Date.now() - 60_000) } : {}),
    },
  });
  return jobId;
}

export async function createFileRow(
  db: Database,
  jobId: string,
  data: Partial<Prisma.FileUncheckedCreateInput> = {},
): Promise<File> {
  const { projectId } = await db.job.findUniqueOrThrow({ where: { id: jobId } });
  const id = uuid();
  return db.file.create({
    data: {
      ...{ id, projectId, jobId, kind: 'VIDEO', name: `${id}.mp4`, storageKey: `tests/${id}.mp4` },
      ...{ mediaType: 'video/mp4', sizeBytes: 5, sha256: new Uint8Array(32) },
      ...data,
    },
  });
}
