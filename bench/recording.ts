/** What it takes to record live streams as they come: ours beside ffmpeg started by hand, in the same minutes. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../stack/ports.js';
import { proportionalBytes } from './process-tree.js';
import { hasBegun, type RunningHost, recordStream, until } from './recorder-host.js';
import { holdsAsMany } from './recording-capacity.js';
import { benchFinalize } from './recording-files.js';
import { type BenchResult, noiseNote, table } from './result.js';
import {
  listening,
  masterIn,
  srtRecording,
  startBareRecorder,
  startMeasuredRecorder,
  startSender,
  streamRate,
} from './stream-bed.js';
import { measureUsage, type Usage } from './usage.js';

const highestCpuRatio = 1.1;
const mostExtraBytes = 60 * 1_048_576;
/** So many of each, since one stream is a hundredth of a core. */
const streams = { usual: 4, quick: 3 };
// A host has compiled what it runs often by then, and ffmpeg has found out what it reads.
const settleMs = { usual: 20_000, quick: 16_000 };
const windowMs = { usual: 60_000, quick: 12_000 };
const startMs = 15_000;

/** About 10 minutes; 50 s when quick, which does not try how many streams there may be at once. */
export async function benchRecording(quick: boolean): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-bench-'));
  try {
    const master = masterIn(folder);
    const { plain, measured, others } = await measureStreams(folder, master, quick);
    const files = await benchFinalize(folder, master, quick);
    const capacity = quick ? null : await holdsAsMany(folder, plain.bare.cores);
    const ratios = [plain, measured].map(({ ours, bare }) => ours.cores / bare.cores);
    const ratio = Math.max(...ratios);
    const extraBytes = Math.max(...[plain, measured].map(({ ours, bare }) => ours.bytes - bare.bytes));
    const ok =
      ratio <= highestCpuRatio && extraBytes <= mostExtraBytes && files.ok && (capacity === null || capacity.ok);
    const worse = ratio === ratios[0] ? plain : measured;
    return {
      ...{ name: 'recording', value: worse.ours.cores, unit: 'cores', floor: worse.bare.cores, ratio },
      ...{ goal: highestCpuRatio, goalIs: 'at most', ok },
      details: {
        ...{ streamRate, plainRatio: ratios[0] as number, measuredRatio: ratios[1] as number },
        ...{ extraBytes, mostExtraBytes },
        ...{ stopSeconds: files.seconds, copySeconds: files.copySeconds, fileBytes: files.bytes, filesOk: files.ok },
        ...(capacity ? { streams: capacity.ours, bareStreams: capacity.bare, capacityOk: capacity.ok } : {}),
        othersCores: others,
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What one stream takes. */
interface Cost {
  cores: number;
  bytes: number;
}

/** Each beside what a person would start for the same: ffmpeg alone, or behind a program that tells how the link is. */
async function measureStreams(folder: string, master: string, quick: boolean) {
  const of = quick ? 'quick' : 'usual';
  const hosts: { plain: RunningHost[]; measured: RunningHost[] } = { plain: [], measured: [] };
  const bare: { plain: ChildProcess[]; measured: ChildProcess[] } = { plain: [], measured: [] };
  const senders: ChildProcess[] = [];
  const files: string[] = [];
  try {
    for (let index = 0; index < streams[of]; index++) {
      for (const kind of ['plain', 'measured'] as const) {
        const [port, barePort] = [await freePort(), await freePort()];
        const file = join(folder, `${kind}-${index}.mkv`);
        files.push(file);
        hosts[kind].push(await recordStream(srtRecording(port, kind === 'measured')));
        if (kind === 'plain') bare[kind].push(startBareRecorder(barePort, file));
        else bare[kind].push(...(await startMeasuredRecorder(barePort, file)));
        await Promise.all([listening(port), listening(barePort)]);
        senders.push(startSender(master, port), startSender(master, barePort));
      }
    }
    await Promise.all([...hosts.plain, ...hosts.measured].map(hasBegun));
    const written = () => files.every((file) => (size(file) ?? 0) > streamRate / 8);
    if (!(await until(startMs, written))) throw new Error('ffmpeg by hand recorded nothing.');
    await sleep(settleMs[of]);
    const groups = [
      hosts.plain.map(({ identity }) => identity.pid),
      bare.plain.map(({ pid }) => pid as number),
      hosts.measured.map(({ identity }) => identity.pid),
      bare.measured.map(({ pid }) => pid as number),
    ];
    const usages = await Promise.all(groups.map((pids) => measureUsage(pids, windowMs[of], 0)));
    const [first] = usages as [Usage];
    const others = first.others + first.cores - usages.reduce((sum, { cores }) => sum + cores, 0);
    const [plainOurs, plainBare, measuredOurs, measuredBare] = groups.map((pids, index) => ({
      cores: (usages[index] as Usage).cores / streams[of],
      bytes: Math.round(proportionalBytes(pids) / streams[of]),
    })) as [Cost, Cost, Cost, Cost];
    const row = (name: string, { cores, bytes }: Cost) => [
      name,
      (cores * 100).toFixed(2),
      (bytes / 1_048_576).toFixed(0),
    ];
    const rows = [row('recorder host', plainOurs), row('ffmpeg by hand', plainBare)];
    const told = [row('with link figures', measuredOurs), row('both by hand', measuredBare)];
    console.log(table(['a stream of 2 Mbit/s', '% of a core', 'MB'], [...rows, ...told]));
    const noise = noiseNote(others);
    if (noise) console.log(`${noise} Senders are counted in this.`);
    return {
      plain: { ours: plainOurs, bare: plainBare },
      measured: { ours: measuredOurs, bare: measuredBare },
      others,
    };
  } finally {
    for (const child of [...senders, ...bare.plain, ...bare.measured]) child.kill('SIGKILL');
    await Promise.all([...hosts.plain, ...hosts.measured].map((host) => host.remove()));
  }
}

const size = (file: string): number | undefined => statSync(file, { throwIfNoEntry: false })?.size;
