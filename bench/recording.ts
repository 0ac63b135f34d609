/** What it takes to record live streams as they come: ours beside ffmpeg started by hand, in the same minutes. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../stack/ports.js';
import { processorSeconds, proportionalBytes } from './process-tree.js';
import { hasBegun, type RunningHost, recordStream, until } from './recorder-host.js';
import { holdsAsMany } from './recording-capacity.js';
import { benchFinalize } from './recording-files.js';
import { type BenchResult, noiseNote, table } from './result.js';
import { masterIn, srtRecording, startBareRecorder, startSender, streamRate } from './stream-bed.js';
import { measureUsage } from './usage.js';

const highestCpuRatio = 1.1;
const mostExtraBytes = 60 * 1_048_576;
/** So many of each, since one stream is a hundredth of a core. */
const streams = { usual: 6, quick: 4 };
// A host has compiled what it runs often by then, and ffmpeg has found out what it reads.
const settleMs = { usual: 20_000, quick: 9_000 };
const windowMs = { usual: 60_000, quick: 12_000 };
const startMs = 15_000;

/** About 6 minutes; 50 s when quick, which does not try how many streams there may be at once. */
export async function benchRecording(quick: boolean): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-bench-'));
  try {
    const master = masterIn(folder);
    const cost = await measureStreams(folder, master, quick);
    const files = await benchFinalize(folder, master, quick);
    const capacity = quick ? null : await holdsAsMany(folder, cost.bareCores);
    const ratio = cost.cores / cost.bareCores;
    const extraBytes = cost.bytes - cost.bareBytes;
    const ok =
      ratio <= highestCpuRatio && extraBytes <= mostExtraBytes && files.ok && (capacity === null || capacity.ok);
    return {
      ...{ name: 'recording', value: cost.cores, unit: 'cores', floor: cost.bareCores, ratio, goal: highestCpuRatio },
      ...{ goalIs: 'at most', ok },
      details: {
        ...{ streamRate, memoryBytes: cost.bytes, bareMemoryBytes: cost.bareBytes, extraBytes, mostExtraBytes },
        ...{ stopSeconds: files.seconds, copySeconds: files.copySeconds, fileBytes: files.bytes, filesOk: files.ok },
        ...(capacity ? { streams: capacity.ours, bareStreams: capacity.bare, capacityOk: capacity.ok } : {}),
        othersCores: cost.others,
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Averages of one stream. */
async function measureStreams(folder: string, master: string, quick: boolean) {
  const of = quick ? 'quick' : 'usual';
  const hosts: RunningHost[] = [];
  const bare: ChildProcess[] = [];
  const senders: ChildProcess[] = [];
  try {
    for (let index = 0; index < streams[of]; index++) {
      const [port, barePort] = [await freePort(), await freePort()];
      hosts.push(await recordStream(srtRecording(port)));
      bare.push(startBareRecorder(barePort, join(folder, `bare-${index}.mkv`)));
      await sleep(500);
      senders.push(startSender(master, port), startSender(master, barePort));
    }
    await Promise.all(hosts.map(hasBegun));
    const written = () => bare.every((_, index) => (size(join(folder, `bare-${index}.mkv`)) ?? 0) > streamRate / 8);
    if (!(await until(startMs, written))) throw new Error('ffmpeg by hand recorded nothing.');
    const ours = hosts.map(({ identity }) => identity.pid);
    const theirs = bare.map(({ pid }) => pid as number);
    await sleep(settleMs[of]);
    const before = processorSeconds(theirs);
    const usage = await measureUsage(ours, windowMs[of], 0);
    const bareCores = (processorSeconds(theirs) - before) / (windowMs[of] / 1000);
    const [bytes, bareBytes] = [proportionalBytes(ours), proportionalBytes(theirs)];
    const count = hosts.length;
    const result = {
      ...{ cores: usage.cores / count, bareCores: bareCores / count },
      ...{ bytes: Math.round(bytes / count), bareBytes: Math.round(bareBytes / count) },
      others: usage.others - bareCores,
    };
    const row = (name: string, cores: number, memory: number) => [
      name,
      (cores * 100).toFixed(2),
      (memory / 1_048_576).toFixed(0),
    ];
    console.log(
      table(
        ['a stream of 2 Mbit/s', '% of a core', 'MB'],
        [row('recorder host', result.cores, result.bytes), row('ffmpeg by hand', result.bareCores, result.bareBytes)],
      ),
    );
    const noise = noiseNote(result.others);
    if (noise) console.log(`${noise} Senders are counted in this.`);
    return result;
  } finally {
    for (const child of [...senders, ...bare]) child.kill('SIGKILL');
    await Promise.all(hosts.map((host) => host.remove()));
  }
}

const size = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.size;
