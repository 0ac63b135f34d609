/** From the request for an archive to its first recorded frame, through the whole running service. */
import type { StartArchiveInput } from '../examples/client/gql/graphql.js';
import type { ArchiveKit, TestArchive } from '../test/testkit/archives.js';

const limitMs = 60_000;

/** An archive that records, and how long that took. Throws when it does not come to record within a minute. */
export async function startRecording(
  kit: ArchiveKit,
  input: Partial<StartArchiveInput>,
): Promise<{ archive: TestArchive; tookMs: number }> {
  const requestedAt = Date.now();
  const archive = await kit.start({ maxDuration: 3_600, ...input });
  const { startedAt } = await within(archive.until('RECORDING', 'RECONNECTING'));
  return { archive, tookMs: new Date(startedAt as string).getTime() - requestedAt };
}

export async function stopRecording(archive: TestArchive): Promise<void> {
  await archive.stop();
  await within(archive.until('COMPLETE'));
}

async function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('The service did not get on within a minute.')), limitMs);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
