/** The connection to a bucket: the AWS SDK, loaded when it is first needed, and what its failures mean to us. */
import type { S3Client } from '@aws-sdk/client-s3';
import { type Config, silenceAwsSdk } from '../config.js';
import { StorageFullError, StorageUnavailableError } from './storage.js';

export type S3Settings = NonNullable<Config['s3']>;

export interface S3Limits {
  /** A request during which no byte moves for so long is given up, and tried again; milliseconds. */
  idleLimitMs: number;
  /** How often a request is tried altogether, with growing pauses between. */
  attempts: number;
}

type Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Connection {
  settings: S3Settings;
  /**
   * Does something with the bucket. `what` says it in an error: "the storage could not <what>". Throws StorageFullError,
   * StorageUnavailableError, or the signal's reason when that was aborted.
   */
  use<T>(what: string, work: (sdk: Sdk, client: S3Client) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

const connectLimitMs = 5_000;

/** Nothing is loaded and nothing is sent before the first use. */
export function connectS3(settings: S3Settings, limits: S3Limits): S3Connection {
  let opened: Promise<{ sdk: Sdk; client: S3Client }> | undefined;

  // 0.17 s and 30 MB that only those pay who have a bucket.
  async function open() {
    silenceAwsSdk();
    const sdk = await import('@aws-sdk/client-s3');
    const client = new sdk.S3Client({
      endpoint: settings.endpoint,
      region: settings.region,
      credentials: settings.credentials,
      forcePathStyle: settings.pathStyle,
      maxAttempts: limits.attempts,
      // We ask for the checksums we compare; by default the SDK adds others, which not every server knows.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: connectLimitMs, socketTimeout: limits.idleLimitMs },
    });
    return { sdk, client };
  }

  return {
    settings,
    async use(what, work, signal) {
      signal?.throwIfAborted();
      opened ??= open();
      const { sdk, client } = await opened;
      try {
        return await work(sdk, client);
      } catch (error) {
        signal?.throwIfAborted();
        throw explained(error, what, settings);
      }
    },
  };
}

interface SdkError extends Error {
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

/** Whether the bucket said that there is no such object. */
export function isNotThere(error: unknown): boolean {
  const { name, $metadata } = error as SdkError;
  return name === 'NotFound' || name === 'NoSuchKey' || (name !== 'NoSuchBucket' && $metadata?.httpStatusCode === 404);
}

const fullNames = ['QuotaExceeded', 'InsufficientStorage', 'InsufficientCapacity', 'XMinioStorageFull'];
const deniedNames = ['AccessDenied', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'];
const placeNames = ['NoSuchBucket', 'InvalidBucketName', 'PermanentRedirect', 'AuthorizationHeaderMalformed'];

/** What the SDK says can hold parts of the request: only its name for the failure and its sentence are passed on. */
function explained(error: unknown, what: string, { bucket, endpoint }: S3Settings): Error {
  // Our own, from within the work, and those of local files.
  if (error instanceof StorageUnavailableError || isOfLocalDisk(error)) return error as Error;
  const { name, message, code, $metadata } = error as SdkError;
  const status = $metadata?.httpStatusCode;
  const place = `The storage (bucket "${bucket}" at ${endpoint ? new URL(endpoint).host : 'Amazon S3'})`;
  if (name === 'AbortError')
    return new StorageUnavailableError(`${place} did not answer in time. ${advice(name, status)}`);
  const known = name === 'Error' ? code : name === 'Unknown' ? `HTTP ${status}` : name;
  const said = [known, message.replace(/\.+$/, '')].filter(Boolean).join(': ');
  if (fullNames.includes(name) || status === 507) {
    return new StorageFullError(
      `${place} has no room: ${said}. Delete recordings or raise its limit, and the job goes on.`,
    );
  }
  return new StorageUnavailableError(`${place} could not ${what}: ${said}. ${advice(name, status)}`);
}

function advice(name: string, status: number | undefined): string {
  if (placeNames.includes(name) || status === 404 || status === 301)
    return 'Check S3_BUCKET, S3_REGION, S3_PATH_STYLE and S3_ACCESS_KEY_ID.';
  if (deniedNames.includes(name) || name === 'CredentialsProviderError' || status === 401 || status === 403)
    return 'Check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, and that they may list, read, write and delete in the bucket.';
  return 'Check S3_ENDPOINT, and that the storage is up and can be reached from this machine.';
}

/** Whether it was our own disk that failed, not the storage. */
export function isOfLocalDisk(error: unknown): boolean {
  const { path, code } = error as NodeJS.ErrnoException;
  return typeof path === 'string' || ['ENOSPC', 'EDQUOT', 'EIO', 'EBADF'].includes(code ?? '');
}
