/** Puts a local file, or a range of one, into a bucket: in pieces when it is large, and believed only when it was compared. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import type { FileRange } from './parts.js';
import { isNotThere, type S3Connection } from './s3-connection.js';
import { StorageUnavailableError } from './storage.js';

const smallestPieceBytes = 8 * 1_048_576;
const mostPieces = 10_000;
const readBytes = 1_048_576;

export interface S3Upload {
  key: string;
  range: FileRange;
  mediaType: string;
  /** Pieces in flight at once, each of 8 MiB or more in memory. */
  inFlight: number;
  signal?: AbortSignal;
}

/**
 * Resolves when the bucket says that it holds these bytes: their number, and their SHA-256, of each piece if there are several,
 * where the server keeps such checksums. Throws as S3Connection.use, or what reading the file throws.
 */
export async function uploadTo(connection: S3Connection, upload: S3Upload): Promise<void> {
  const { key, range, mediaType, inFlight, signal } = upload;
  const { bucket } = connection.settings;
  const size = range.to - range.from;
  // A whole number of reads, so that pieces of the checksum are pieces of the upload.
  const pieceBytes = Math.max(smallestPieceBytes, Math.ceil(size / mostPieces / readBytes) * readBytes);
  const checksum = createPieceChecksum(pieceBytes);
  await connection.use(
    'take up a file',
    async (sdk, client) => {
      const { Upload } = await import('@aws-sdk/lib-storage');
      const body = Readable.from(checksum.pass(range), { objectMode: false });
      const transfer = new Upload({
        client,
        params: {
          Bucket: bucket,
          Key: key,
          Body: body,
          ContentLength: size,
          ContentType: mediaType,
          ChecksumAlgorithm: 'SHA256',
        },
        partSize: pieceBytes,
        queueSize: inFlight,
      });
      const abort = () => void transfer.abort();
      signal?.addEventListener('abort', abort, { once: true });
      try {
        signal?.throwIfAborted();
        await transfer.done();
      } finally {
        signal?.removeEventListener('abort', abort);
        body.destroy();
      }
      const kept = await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' }), {
        abortSignal: signal,
      });
      const isSame = kept.ContentLength === size && [undefined, checksum.value()].includes(kept.ChecksumSHA256);
      if (isSame) {
        // Of attempts before that died in the middle; at the end, since a piece of theirs may have been on its way still.
        const leftovers = { bucket, prefix: key, isMeant: (found: string) => found === key, signal };
        if (size > pieceBytes) await abortUploads(sdk, client, leftovers).catch(() => {});
        return;
      }
      await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }));
      throw new StorageUnavailableError(
        `The storage (bucket "${bucket}") holds ${kept.ContentLength} bytes with checksum ${kept.ChecksumSHA256} where ${size} bytes with ` +
          `${checksum.value()} were sent; it was removed there. If that happens again, the storage is broken.`,
      );
    },
    signal,
  );
}

/** Ends uploads that were begun and never completed, such as those of a worker that died: they cost room, and nobody sees them. */
export async function abortUploads(
  sdk: typeof import('@aws-sdk/client-s3'),
  client: S3Client,
  options: { bucket: string; prefix: string; isMeant: (key: string) => boolean; signal?: AbortSignal },
): Promise<void> {
  const { bucket: Bucket, prefix: Prefix, isMeant, signal: abortSignal } = options;
  try {
    const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix }), {
      abortSignal,
    });
    for (const { Key, UploadId } of Uploads) {
      if (Key && UploadId && isMeant(Key))
        await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { abortSignal });
    }
  } catch (error) {
    // One that is completed or ended by now; and not every key is allowed to list them, nor does every server know how.
    const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
    if (!isNotThere(error) && ![403, 501].includes($metadata?.httpStatusCode ?? 0)) throw error;
  }
}

/** The checksum as S3 states it: of the whole when it is one piece, else of the pieces' checksums, with their number. */
function createPieceChecksum(pieceBytes: number) {
  const pieces: Buffer[] = [];
  let piece = createHash('sha256');
  let inPiece = 0;
  const closePiece = () => {
    pieces.push(piece.digest());
    piece = createHash('sha256');
    inPiece = 0;
  };
  return {
    /** The bytes of the range, read once; to be consumed to the end before `value`. */
    async *pass({ file, from, to }: FileRange): AsyncGenerator<Buffer> {
      if (to > from) {
        for await (const chunk of createReadStream(file, { start: from, end: to - 1, highWaterMark: readBytes })) {
          for (let at = 0; at < chunk.length; ) {
            const taken = chunk.subarray(at, at + pieceBytes - inPiece);
            piece.update(taken);
            inPiece += taken.length;
            at += taken.length;
            if (inPiece === pieceBytes) closePiece();
          }
          yield chunk;
        }
      }
      if (inPiece > 0 || pieces.length === 0) closePiece();
    },
    value(): string {
      if (pieces.length === 1) return (pieces[0] as Buffer).toString('base64');
      return `${createHash('sha256').update(Buffer.concat(pieces)).digest('base64')}-${pieces.length}`;
    },
  };
}
