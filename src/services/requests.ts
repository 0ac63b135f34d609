/** Requests that must have one effect however often they are sent. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Transaction } from '../db.js';
import { ConflictError } from './errors.js';

/** Text for people and logs: Postgres and Temporal refuse some control characters, and nobody needs any. */
export const plainText = z.string().regex(/^\P{Cc}*$/u, 'contains control characters');

/** What clients may call a request by. */
export const requestIdRule = plainText.min(1, 'is empty').max(128, 'is longer than 128 characters');

/**
 * Claims a client's request id within the transaction that carries out the request. Answers the id of the earlier result
 * when the same request was carried out before, else null: go on, the result will be `resultId`.
 * Throws ConflictError when the id was used with another payload. A concurrent twin waits here for the first to commit.
 */
export async function claimRequest(
  transaction: Transaction,
  request: { projectId: string; operation: string; requestId: string; payload: object; resultId: string },
): Promise<string | null> {
  const { projectId, operation, requestId, resultId } = request;
  const payloadSha256 = createHash('sha256').update(JSON.stringify(request.payload)).digest();
  const { count } = await transaction.request.createMany({
    data: [{ projectId, operation, requestId, resultId, payloadSha256: new Uint8Array(payloadSha256) }],
    skipDuplicates: true,
  });
  if (count === 1) return null;
  const earlier = await transaction.request.findUniqueOrThrow({
    where: { projectId_operation_requestId: { projectId, operation, requestId } },
  });
  if (!payloadSha256.equals(earlier.payloadSha256)) {
    throw new ConflictError(
      `The request id "${requestId}" was used before with other input. Choose a new one for a new request.`,
    );
  }
  return earlier.resultId;
}
