/** Requests that must have one effect however often they are sent. */
import { createHash } from 'node:crypto';
import { v7 as uuid } from 'uuid';
import * as z from 'zod';
import type { Viewer } from '../auth/viewer.js';
import type { Transaction } from '../db.js';
import { ConflictError, ValidationError } from './errors.js';

/** Text for people and logs: Postgres and Temporal refuse some control characters, and nobody needs any. */
export const plainText = z.string().regex(/^\P{Cc}*$/u, 'contains control characters');

/** What clients may call a request by. */
export const requestIdRule = plainText.min(1, 'is empty').max(128, 'is longer than 128 characters');

/** Throws ValidationError. */
export function checkRequestId(requestId: string | undefined): void {
  const parsed = requestIdRule.optional().safeParse(requestId);
  if (parsed.success) return;
  throw new ValidationError(parsed.error.issues.map(({ message }) => ({ field: 'requestId', message })));
}

/** A client's request: what it is called, and what it asks for. */
export interface ClientRequest {
  projectId: string;
  operation: string;
  requestId: string;
  payload: object;
}

/**
 * A client's request under the name that it gave, or null when it gave none. The holder of the token of a job or a room
 * has names of its own: it must not use up those of the project.
 */
export function named(
  viewer: Viewer,
  operation: string,
  requestId: string | undefined,
  payload: object,
): ClientRequest | null {
  if (requestId === undefined) return null;
  const { projectId } = viewer;
  const holder = viewer.kind === 'job' ? viewer.jobId : viewer.kind === 'room' ? viewer.roomId : null;
  return { projectId, operation: holder === null ? operation : `${operation}:${holder}`, requestId, payload };
}

/** What a request brought about: a job, and the number of its event. */
export interface RequestResult {
  resultId: string;
  sequence: number;
}

/** The result of the same request made before, or null. Throws ConflictError when its id was used with another payload. */
export async function earlierResult(database: Transaction, request: ClientRequest): Promise<RequestResult | null> {
  const { projectId, operation, requestId } = request;
  const earlier = await database.request.findUnique({
    where: { projectId_operation_requestId: { projectId, operation, requestId } },
  });
  if (!earlier) return null;
  if (!fingerprint(request).equals(earlier.payloadSha256)) {
    throw new ConflictError(
      `The request id "${requestId}" was used before with other input. Choose a new one for a new request.`,
    );
  }
  return earlier;
}

/**
 * Keeps the result of a request, and answers it; answers the earlier one when the same request had one. Within the
 * transaction that carries out the request, a concurrent twin waits here for the first to commit. Throws ConflictError.
 */
export async function keepResult(
  transaction: Transaction,
  request: ClientRequest,
  result: RequestResult,
): Promise<RequestResult> {
  const { projectId, operation, requestId } = request;
  await transaction.request.createMany({
    data: [{ projectId, operation, requestId, ...result, payloadSha256: new Uint8Array(fingerprint(request)) }],
    skipDuplicates: true,
  });
  return (await earlierResult(transaction, request)) ?? result;
}

/** Whether a request that has no result of its own is carried out for the first time; it counts as carried out from then on. */
export async function isFirst(transaction: Transaction, request: ClientRequest): Promise<boolean> {
  const turn = uuid();
  const { resultId } = await keepResult(transaction, request, { resultId: turn, sequence: 0 });
  return resultId === turn;
}

const fingerprint = ({ payload }: ClientRequest): Buffer =>
  createHash('sha256').update(JSON.stringify(payload)).digest();
