/** One run of the realtime benchmark: sockets on one topic of one server, events at an even pace, every one of them accounted for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from './child.js';
import { machineSeconds, ownProcessorSeconds, processorSeconds } from './process-tree.js';
import type { RealtimeServer } from './realtime-servers.js';
import type { SocketClients } from './socket-clients.js';

export interface Run {
  deliveriesPerSecond: number;
  deliveriesPerCoreSecond: number;
  /** Events a second that were published, as a share of those that were to be. */
  pace: number;
  /** Processor seconds a second: of the server alone, of its database, of the load generator, of all other programs. */
  cores: { server: number; postgres: number; clients: number; others: number };
  latencyMs: { mean: number; p50: number; p99: number };
  bytesPerMessage: number;
}

/** Not every event reached every client once and in order, or the clients could not keep up. */
export class RunFailedError extends Error {
  override name = 'RunFailedError';
}

const warmUpMs = 2_000;
const hearLimitMs = 10_000;
const settleLimitMs = 10_000;
const pollMs = 20;

/** Throws RunFailedError. */
export async function run(
  server: RealtimeServer,
  load: { sockets: number; perSecond: number; windowMs: number },
): Promise<Run> {
  const { sockets, perSecond, windowMs } = load;
  const clients = startChild<SocketClients>('./socket-clients.ts');
  try {
    const { url, token, subscription } = server;
    const subscriptions = Array.from({ length: sockets }, () => subscription);
    await clients.ask('connect', { url, token, subscriptions });
    const publishing = server.publish(perSecond);
    try {
      // The protocol does not tell when a subscription is in force: the first event does.
      for (const endsAt = Date.now() + hearLimitMs; (await clients.ask('heard', null)) < sockets; await sleep(pollMs)) {
        if (Date.now() > endsAt) throw new RunFailedError('Some clients received no event at all.');
      }
      await sleep(warmUpMs);
      await clients.ask('begin', null);
      const before = usage();
      await sleep(windowMs);
      const after = usage();
      const last = await publishing.stop();
      const settled = await clients.ask('settle', { sequences: subscriptions.map(() => last), limitMs: settleLimitMs });
      const { count, first } = await clients.ask('failures', null);
      if (count > 0) throw new RunFailedError(`${count} failures, the first of them: ${first.join(' | ')}`);
      if (!settled) throw new RunFailedError(`Not every client had event ${last} after ${settleLimitMs / 1000} s.`);
      const report = await clients.ask('report', { from: before.at, to: after.at });
      if (!report.latency) throw new RunFailedError('No event occurred while it was measured.');

      const seconds = (after.at - before.at) / 1000;
      const server = (after.server - before.server) / seconds;
      const [postgres, ofClients, all] = (['postgres', 'clients', 'machine'] as const).map(
        (of) => (after[of] - before[of]) / seconds,
      ) as [number, number, number];
      const own = (after.own - before.own) / seconds;
      const deliveriesPerSecond = report.received / seconds;
      return {
        deliveriesPerSecond,
        deliveriesPerCoreSecond: deliveriesPerSecond / server,
        pace: report.occurred / sockets / (seconds * perSecond),
        cores: { server, postgres, clients: ofClients, others: Math.max(0, all - server - postgres - ofClients - own) },
        latencyMs: report.latency,
        bytesPerMessage: report.bytes,
      };
    } finally {
      await publishing.stop();
    }
  } finally {
    await clients.end();
  }

  function usage() {
    return {
      at: Date.now(),
      server: ownProcessorSeconds(server.pid),
      postgres: server.postgresPid === null ? 0 : processorSeconds([server.postgresPid]),
      clients: ownProcessorSeconds(clients.pid),
      own: ownProcessorSeconds(process.pid),
      machine: machineSeconds(),
    };
  }
}
