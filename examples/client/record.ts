/**
 * Records a page, follows the recording, and downloads it:
 * `node --import tsx examples/client/record.ts --key td_… http://127.0.0.1:4000/demo 10 recording.mp4`
 */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { createTapedeck } from './client.js';
import { followJob } from './job.js';
import { Archive, StartArchive } from './operations.js';

const { values, positionals } = parseArgs({
  options: { url: { type: 'string', default: 'http://127.0.0.1:4000' }, key: { type: 'string' } },
  allowPositionals: true,
});
const [page, seconds = '10', file = 'recording.mp4'] = positionals;
if (!page || !values.key) {
  console.error('Usage: record.ts --key <API key> [--url <service>] <page> [seconds] [file]');
  process.exit(2);
}

const tapedeck = createTapedeck({ url: values.url, apiKey: values.key, webSocket: WebSocket });
try {
  const { startArchive } = await tapedeck.request(StartArchive, {
    input: { url: page, width: 1280, height: 720, maxDuration: Number(seconds) },
  });
  if (startArchive.__typename !== 'StartArchivePayload') throw new Error(startArchive.message);
  const { id } = startArchive.archive;

  for await (const { job, ...event } of followJob(tapedeck, id))
    console.log(event.__typename, job?.state ?? '', job?.message ?? '');

  const { archive } = await tapedeck.request(Archive, { id });
  if (!archive?.downloadUrl) throw new Error(archive?.message ?? 'The archive has no file.');
  const download = await fetch(archive.downloadUrl);
  if (!download.ok || !download.body) throw new Error(`The download failed with status ${download.status}.`);
  await pipeline(download.body, createWriteStream(file));
  console.log(`${file}: ${archive.resolution}, ${archive.duration} s, ${archive.size} bytes`);
} finally {
  await tapedeck.close();
}
