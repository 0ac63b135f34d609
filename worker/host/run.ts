/** One recorder host, from its spec to its end: sets up everything around the recording and takes everything down again. */
import { join } from 'node:path';
import { loadConfig } from '../../src/config.js';
import {
  type Arrangement,
  type HostOutcome,
  type HostPhase,
  type HostSpec,
  type HostStatus,
  hostFiles,
  type PageSpec,
  type PeopleSpec,
  type StreamSpec,
} from '../../src/jobs/capture.js';
import { identify, type ProcessIdentity } from '../../src/process-identity.js';
import { openPartStore } from '../../src/storage/open.js';
import { asFailure } from '../capture/capture-error.js';
import { createScratch } from '../capture/scratch.js';
import { createOutlets } from '../outlets/outlets.js';
import { openManifest } from '../parts/manifest.js';
import { startShipper } from '../shipping/shipper.js';
import { createChanges } from '../streams/changes.js';
import { readJson, writeJson } from './atomic-file.js';
import { listenForCommands } from './command-socket.js';
import type { EndRequest } from './end-request.js';
import { everySecond } from './heartbeat.js';
import { createLayoutKeeper } from './layout.js';
import { watchLease } from './lease-watch.js';
import { createSplitting } from './splitting.js';
import { openStatusFile } from './status-file.js';
import { createTotals } from './totals.js';
import { createWarningBoard } from './warning-board.js';
import { createWish } from './wish.js';

const pageStatusMs = 500;
const refusedKept = 20;

/** Records as `spec.json` in the folder says and returns how it ended. Throws when the folder cannot be used. */
export async function runHost(folder: string, end: EndRequest, note: (text: string) => void): Promise<HostOutcome> {
  const scratch = createScratch();
  try {
    const spec = readJson<HostSpec>(join(folder, hostFiles.spec));
    if (!spec)
      throw new Error(`${join(folder, hostFiles.spec)} is missing. The worker writes it before it starts a host.`);
    const wish = createWish(spec.hold === null ? 'record' : 'pause');
    const warnings = createWarningBoard(note);
    const { jobId, incarnation, egress } = spec;
    const store = openPartStore(loadConfig());
    const pieces = { jobId, incarnation, store };
    const changes = spec.source.kind === 'stream' ? createChanges(spec.source.recording) : null;
    const recorded = () => changes?.current() ?? (spec.source.kind === 'page' ? (spec.source.recording ?? null) : null);
    const splitting = createSplitting(recorded, spec.tools);
    const { split } = splitting;
    const outlets = createOutlets({ folder, ffmpeg: spec.tools.ffmpeg, egress, pieces, live: spec.live, split, note });
    const layout = createLayoutKeeper(spec.arrangement.layout, note);
    const arrange = (wanted: Arrangement) => {
      outlets.arrange(wanted.targets);
      layout.want(wanted.layout);
      outlets.preview(wanted.preview ?? false);
      if (wanted.recording) changes?.set(wanted.recording);
    };
    arrange(spec.arrangement);
    const commands = await listenForCommands(scratch.socket, (given) => {
      note(`command: ${given.command}`);
      if (given.command === 'stop') end.ask({ kind: 'stopped' });
      else if (given.command === 'suspend') end.ask({ kind: 'suspended' });
      else if (given.command === 'arrange') arrange(given.arrangement);
      else wish.set(given.command);
    });
    // Before it counts as started: on a disk without room for it nothing can be recorded.
    const manifest = splitting.noting(openManifest(folder));
    writeJson(
      join(folder, hostFiles.identity),
      { ...(identify(process.pid) as ProcessIdentity), socket: scratch.socket },
      { durable: true },
    );

    const totals = createTotals();
    const refused: string[] = [];
    const shipper = store && startShipper({ store, folder, jobId, incarnation, note });
    const statusFile = openStatusFile(join(folder, hostFiles.status));
    let phase: HostPhase = 'STARTING';
    const tell = () => {
      const status: HostStatus = {
        phase,
        at: Date.now(),
        stats: totals.stats(),
        refused,
        warnings: [...warnings.all(), ...(shipper?.warnings() ?? [])],
        targets: outlets.statuses(),
      };
      try {
        statusFile.write(status);
      } catch (error) {
        // A full disk: the encoder meets it too, and the manifest tells the outcome.
        note(`status not written: ${error}`);
      }
    };
    // A stream need not be seen to move in between.
    const stopTelling = changes ? everySecond(tell) : every(pageStatusMs, tell);
    const lease = watchLease(folder, spec.leaseTimeoutMs, () => end.ask({ kind: 'lease-expired' }));
    tell();

    const kit = {
      ...{ folder, scratch, end, wish, manifest, totals, warnings, note },
      outlets: {
        ...outlets,
        partBegan(part: number) {
          splitting.partBegan(part);
          outlets.partBegan(part);
        },
      },
      setPhase(next: HostPhase) {
        phase = next;
        tell();
      },
      refused: {
        add(text: string) {
          refused.push(text);
          refused.splice(0, refused.length - refusedKept);
        },
        last: () => refused.at(-1) ?? null,
      },
    };
    // What the others need is not even read: a host that copies a stream knows no browser.
    const record = async (): Promise<HostOutcome> => {
      if (changes) return (await import('../streams/run-stream.js')).runStream(spec as StreamSpec, kit, changes);
      if (spec.source.kind === 'page') return (await import('./run-page.js')).runPage(spec as PageSpec, kit, layout);
      return (await import('../tracks/run-people.js')).runPeople(spec as PeopleSpec, kit);
    };
    const outcome = await record().catch((error: unknown): HostOutcome => {
      note(error instanceof Error ? `${error.stack}` : String(error));
      return { kind: 'failed', failure: asFailure(error) };
    });
    lease.close();
    commands.close();
    stopTelling();
    manifest.append({ type: 'ended', at: Date.now(), outcome });
    manifest.close();
    phase = 'ENDED';
    tell();
    statusFile.close();
    await shipper?.close();
    return outcome;
  } finally {
    await scratch.remove().catch((error: unknown) => note(`temporary folder not removed: ${error}`));
  }
}

function every(ms: number, listener: () => void): () => void {
  const timer = setInterval(listener, ms);
  return () => clearInterval(timer);
}
