/** The storage that is a bucket: files are put there whole, and clients fetch them from there by signed URLs. */
import { stat } from 'node:fs/promises';
import { isNotThere, type S3Connection } from './s3-connection.js';
import { uploadTo } from './s3-upload.js';
import { checkStorageKey, type Storage } from './storage.js';

const inFlight = 4;
/** Whoever asks is waiting for an answer: hanging servers are not waited for as long as with an upload. */
const answerLimitMs = 10_000;

/** Keeps files below `files/` in the bucket. `urlMs`: how long the URLs it gives work. */
export function createS3Storage(connection: S3Connection, { urlMs }: { urlMs: number }): Storage {
  const { bucket, prefix } = connection.settings;
  const placeOf = (key: string) => {
    checkStorageKey(key);
    return { Bucket: bucket, Key: `${prefix}files/${key}` };
  };

  return {
    async put(key, file, mediaType) {
      const { Key } = placeOf(key);
      const { size } = await stat(file);
      await uploadTo(connection, { key: Key, range: { file, from: 0, to: size }, mediaType, inFlight });
    },

    async read(key, { mediaType, disposition }) {
      const place = placeOf(key);
      return connection.use('answer for a file', async (sdk, client) => {
        try {
          await client.send(new sdk.HeadObjectCommand(place), { abortSignal: AbortSignal.timeout(answerLimitMs) });
        } catch (error) {
          if (isNotThere(error)) return null;
          throw error;
        }
        const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner');
        const command = new sdk.GetObjectCommand({
          ...place,
          ResponseContentType: mediaType,
          ResponseContentDisposition: disposition,
        });
        return { kind: 'redirect', url: await getSignedUrl(client, command, { expiresIn: Math.ceil(urlMs / 1000) }) };
      });
    },

    async remove(key) {
      const place = placeOf(key);
      await connection.use('remove a file', (sdk, client) => client.send(new sdk.DeleteObjectCommand(place)));
    },
  };
}
