/** From the request for an archive to its first recorded frame, through the whole running service. */
import type { StartArchiveInput } from '../examples/client/gql/graphql.js';
import type { ArchiveKit, TestArchive } from '../test/testkit/archives.js';
import { within } from '../worker/capture/time-limit.js';

const limitMs = 60_000;

/** An archive that records, and how long that took. Throws when it does not come to record within a minute. */
export async function startRecording(
  kit: ArchiveKit,
  input: Partial<StartArchiveInput>,
): Promise<{ archive: TestArchive; tookMs: number }> {
  const requestedAt = Date.now();
  const archive = await kit.start({ maxDuration: 3_600, ...input });
  const { startedAt } = await within(limitMs, 'The start', archive.until('RECORDING', 'RECONNECTING'));
  return { archive, tookMs: new Date(startedAt as string).getTime() - requestedAt };
}

/** Resolves when the file is ready. Throws when that takes longer than a minute. */
export async function stopRecording(archive: TestArchive): Promise<void> {
  await archive.stop();
  await within(limitMs, 'The end', archive.until('COMPLETE'));
}
