/** Several machines as far as one can have them on one: recorders with data directories of their own, and a storage they share. */
import { join } from 'node:path';
import type { childEnvironment } from '../src/config.js';
import { isolatedConfig, temporaryDataFolder } from '../stack/isolated.js';
import { type Stack, startStack } from '../stack/stack.js';
import { startS3 } from '../test/testkit/s3.js';
import { type Line, startNetwork } from './toxiproxy.js';

export interface SharedStorage {
  /** The settings that lead to it, by way of the line. */
  environment: Record<string, string>;
  line: Line;
  /** Where its objects lie as files, and those among them that are results. */
  bucketFolder: string;
  filesFolder: string;
  close(): Promise<void>;
}

/** An S3 server over a folder, behind a network that can be held still. */
export async function startSharedStorage(folder: string): Promise<SharedStorage> {
  const s3 = await startS3({ folder });
  try {
    const network = await startNetwork();
    const line = await network.through(new URL(s3.settings.endpoint as string).host);
    return {
      environment: { ...s3.environment, S3_ENDPOINT: `http://${line.address}` },
      line,
      bucketFolder: s3.bucketFolder,
      filesFolder: join(s3.bucketFolder, s3.settings.prefix, 'files'),
      async close() {
        await network.close();
        await s3.stop();
      },
    };
  } catch (error) {
    await s3.stop();
    throw error;
  }
}

export interface Cluster extends Pick<SharedStorage, 'line' | 'bucketFolder' | 'filesFolder'> {
  /** One a machine. */
  recorders: Stack[];
  close(): Promise<void>;
  abort(): void;
}

const machines = 2;

/** Starts the recorders of a service whose own processes run no recorder. */
export async function openCluster(options: {
  stack: Stack;
  storage: SharedStorage;
  settings: Parameters<typeof childEnvironment>[0];
  log: (line: string) => void;
  signal?: AbortSignal;
}): Promise<Cluster> {
  const { stack, storage, settings, log, signal } = options;
  const folders = Array.from({ length: machines }, () => temporaryDataFolder());
  const recorders: Stack[] = [];
  const close = async () => {
    await Promise.all(recorders.map((recorder) => recorder.stop()));
    for (const { remove } of folders) remove();
  };
  try {
    for (const { dataDir } of folders) {
      const config = isolatedConfig(dataDir);
      recorders.push(
        await startStack({
          config: {
            ...config,
            // They record the pages of the service itself, so they must know where it is.
            ...{ port: Number(new URL(stack.url).port), publicUrl: stack.url },
            databaseUrl: stack.databaseUrl,
            temporal: { ...config.temporal, address: stack.temporalAddress },
            media: { ...config.media, ...stack.mediaServer },
          },
          ...{ settings, services: ['recorder'], log, signal },
        }),
      );
    }
  } catch (error) {
    await close();
    throw error;
  }
  const { line, bucketFolder, filesFolder } = storage;
  return {
    ...{ recorders, line, bucketFolder, filesFolder, close },
    abort: () => {
      for (const recorder of recorders) recorder.abort();
    },
  };
}
