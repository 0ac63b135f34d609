/** From the stop of a recording to its file: against copying that file. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../src/config.js';
import { hostFiles, partFile } from '../src/jobs/capture.js';
import { finalizeJob } from '../worker/finalize/finalize.js';

const bytes = { usual: 1_000_000_000, quick: 250_000_000 };
const mostCopies = 3;
/** What a host takes to close its part, and the engine to go on. */
const extraSeconds = 3;

export interface FilesResult {
  bytes: number;
  seconds: number;
  copySeconds: number;
  ok: boolean;
}

/** Makes a part of the wanted size by copying the master again and again, and the file of it. */
export async function benchFinalize(folder: string, master: string, quick: boolean): Promise<FilesResult> {
  const { recorder } = loadConfig();
  const jobFolder = join(folder, 'job');
  const incarnation = join(jobFolder, 'i1');
  mkdirSync(incarnation, { recursive: true });
  const part = join(incarnation, partFile(1));
  const wanted = bytes[quick ? 'quick' : 'usual'];
  const times = Math.ceil(wanted / statSync(master).size);
  const args = `-nostdin -v error -y -stream_loop ${times} -i ${master} -map 0:v:0 -map 0:a:0 -c copy -f matroska -cluster_time_limit 250`;
  execFileSync(recorder.ffmpeg, [...args.split(' '), part]);
  const manifest = [
    { type: 'part-started', part: 1, at: Date.now() },
    { type: 'first-frame', part: 1, at: Date.now() },
  ];
  writeFileSync(join(incarnation, hostFiles.manifest), manifest.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  const copied = join(folder, 'copied.mkv');
  const copying = performance.now();
  copyFileSync(part, copied);
  const copySeconds = (performance.now() - copying) / 1000;
  rmSync(copied);

  const startedMs = performance.now();
  const { files } = await finalizeJob({
    ...{ jobFolder, jobId: 'bench', name: 'Bench', tools: recorder },
    // As on the disk of the machine itself.
    storage: { put: async (_key, path) => renameSync(path, join(folder, 'stored')) },
  });
  const seconds = (performance.now() - startedMs) / 1000;
  if (files.length === 0) throw new Error('No file was made.');
  const size = statSync(part).size;
  rmSync(jobFolder, { recursive: true, force: true });
  const ok = seconds <= mostCopies * copySeconds + extraSeconds;
  const megabytes = (size / 1e6).toFixed(0);
  console.log(
    `${megabytes} MB: file after ${seconds.toFixed(2)} s, copied in ${copySeconds.toFixed(2)} s; ${ok ? 'good' : 'missed'}`,
  );
  return { bytes: size, seconds, copySeconds, ok };
}
