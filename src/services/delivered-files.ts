/** The rows of a job's files: each once, under a name of its own, until it is to be removed by itself. */
import { v7 as uuid } from 'uuid';
import type { Transaction } from '../db.js';
import type { FileKind, Job } from '../generated/prisma/client.js';
import { tell } from './job-events.js';

const dayMs = 24 * 3_600_000;

/** A file in the storage. */
export interface DeliveredFile {
  kind: FileKind;
  name: string;
  storageKey: string;
  mediaType: string;
  sizeBytes: number;
  sha256: Buffer;
  durationMs?: number;
  width?: number;
  height?: number;
  videoCodec?: string;
  audioCodec?: string;
  /** Of a split recording, which piece it is. */
  piece?: string;
}

/** The name of a piece of a split recording: the same whenever, and by whomever, it is cut. */
export const pieceName = (of: { incarnation: number; part: number; piece: number }): string =>
  `${of.incarnation}-${of.part}-${of.piece}`;

/** Each file by itself, but for what belongs to a piece of a split recording: that follows it. */
export function together(files: readonly DeliveredFile[]): DeliveredFile[][] {
  const groups: DeliveredFile[][] = [];
  for (const file of files) {
    const last = groups.at(-1);
    const [piece] = last ?? [];
    const belongs = file.piece === undefined && piece?.piece !== undefined && stemOf(piece.name) === stemOf(file.name);
    if (belongs) last?.push(file);
    else groups.push([file]);
  }
  return groups;
}

const endingOf = (name: string): string => /\.[a-z0-9]+$/.exec(name)?.[0] ?? '';
const stemOf = (name: string): string => name.slice(0, name.length - endingOf(name).length);

/** Adds files that belong together, under another name where theirs is another's. A piece that is there is not added again. */
export async function addFiles(
  transaction: Transaction,
  job: Job,
  files: readonly DeliveredFile[],
  version: number,
): Promise<void> {
  const { id: jobId, projectId } = job;
  const piece = files.find((file) => file.piece !== undefined)?.piece;
  if (piece && (await transaction.file.count({ where: { jobId, piece, version } })) > 0) return;
  const expiresAt = await expiryOf(transaction, job);
  const rename = piece ? await renamed(transaction, jobId, files, version) : (name: string) => name;
  for (const file of files) {
    const data = { ...file, name: rename(file.name), version, sha256: new Uint8Array(file.sha256), projectId, jobId };
    const { id, name, kind } = await transaction.file.create({ data: { ...data, expiresAt, id: uuid() } });
    await tell(transaction, { jobId }, { type: 'JobFileAdded', fileId: id, name, kind });
  }
}

/** The first free name of `name.mp4`, `name-2.mp4` and so on, for all of them alike. */
async function renamed(
  transaction: Transaction,
  jobId: string,
  files: readonly DeliveredFile[],
  version: number,
): Promise<(name: string) => string> {
  const [stem] = files.map(({ name }) => stemOf(name));
  const where = { jobId, version, name: { startsWith: stem } };
  const rows = await transaction.file.findMany({ where, select: { name: true } });
  const taken = new Set(rows.map(({ name }) => stemOf(name)));
  for (let count = 1; ; count++) {
    const suffix = count === 1 ? '' : `-${count}`;
    if (!taken.has(`${stem}${suffix}`)) return (name) => `${stemOf(name)}${suffix}${endingOf(name)}`;
  }
}

/** When files that are added now are removed by themselves; null: never. */
async function expiryOf(transaction: Transaction, { recordingId }: Job): Promise<Date | null> {
  if (!recordingId) return null;
  const where = { id: recordingId };
  const recording = await transaction.recording.findUnique({ where, select: { deleteAfterDays: true } });
  const days = recording?.deleteAfterDays ?? 0;
  return days > 0 ? new Date(Date.now() + days * dayMs) : null;
}

export async function keysOf(database: Transaction, jobId: string, version: number): Promise<string[]> {
  const files = await database.file.findMany({ where: { jobId, version }, select: { storageKey: true } });
  return files.map(({ storageKey }) => storageKey);
}
