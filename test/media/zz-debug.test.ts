import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { sendCommand } from '../../worker/host/client.js';
import { masterSize } from '../testkit/card-master.js';
import { readFrames } from '../testkit/media-read.js';
import { liveSource, makeFiles, outputOf, recordFrom } from '../testkit/streams.js';

test.each((process.env.DEBUG_TYPES ?? 'UDP').split(',').map((x) => [x]))('%s', async (type) => {
  const source = await liveSource({ type: type as never });
  const host = await recordFrom(source);
  try {
    await host.recordedFor(4_000);
    await source.kill();
    await host.phase('RECONNECTING');
    await source.start({ fromSecond: 30 });
    await host.entry('first-frame', 2);
    await host.recordedFor(3_000);
  } finally {
    console.log(readFileSync(join(host.folder, 'host.log'), 'utf8'));
    for (const i of [1, 2])
      try {
        console.log(i, readFileSync(join(host.folder, `p${i}.log`), 'utf8').slice(0, 3000));
      } catch {}
  }
  await sendCommand(host.identity, { command: 'stop' });
  console.log(await host.outcome());
  const { outcome, files } = await makeFiles(host, outputOf('MP4'));
  console.log(
    outcome.parts,
    outcome.files.map((f) => [f.name, f.durationMs]),
    files,
  );
  for (const n of [1, 2])
    console.log(
      execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-of', 'compact=nk=0', host.part(n)])
        .toString()
        .split('\n')
        .map((l) => l.slice(0, 400))
        .join('\n'),
    );
  for (const f of files.filter((x) => x.endsWith('.mp4'))) {
    const nums = (await readFrames(f, masterSize)).map(({ number, ptsMs }) => number);
    console.log(
      f,
      nums.length,
      nums.slice(0, 5).join(),
      nums.filter((n, i) => i > 0 && n !== (nums[i - 1] as number) + 1).join(),
      nums.slice(-5).join(),
    );
  }
});
