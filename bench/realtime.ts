/** Deliveries a second and core with 1,000 sockets on one topic: Tapedeck, bare graphql-ws with graphql-js, and Mercurius, in turns. */
import { type Run, RunFailedError, run } from './realtime-run.js';
import { type RealtimeServer, startPeer, startTapedeck } from './realtime-servers.js';
import { type BenchResult, noiseNote, spread, table } from './result.js';

const sockets = 1_000;
/** 20,000 deliveries a second: more than half of what any of the servers can do on a core of 2020 would be a test of their queues. */
const perSecond = 20;
const wantedRatio = 3;
/** Of the processor time of a second; above it the load generator may be what is measured. */
const clientLimitCores = 0.9;
/** Beyond these a server has fallen behind. */
const behind = { p99Ms: 1_000, share: 0.97 };
/** No machine that this runs on reaches it: the search ends. */
const highestPerSecond = 1_280;

/** About 6 minutes; 45 s when quick, which is one run each and no search for the limits. */
export async function benchRealtime(quick: boolean): Promise<BenchResult> {
  const rounds = quick ? 1 : 3;
  const servers: RealtimeServer[] = [];
  try {
    servers.push(await startTapedeck());
    servers.push(await startPeer('graphql-ws + graphql-js', './realtime-graphql-ws.ts'));
    servers.push(await startPeer('Mercurius, jit', './realtime-mercurius.ts'));
    const [ours, ...peers] = servers as [RealtimeServer, ...RealtimeServer[]];

    const runs = new Map<RealtimeServer, Run[]>(servers.map((server) => [server, []]));
    for (let round = 0; round < rounds; round++) {
      // Each begins a round once.
      const order = servers.map((_, index) => servers[(index + round) % servers.length] as RealtimeServer);
      for (const server of order) {
        const measured = await run(server, { sockets, perSecond, windowMs: quick ? 4_000 : 8_000 });
        console.log(`round ${round + 1} of ${rounds}: ${server.name} ${told(measured)}`);
        requireIdleClients(measured);
        runs.get(server)?.push(measured);
      }
    }

    const efficiency = (server: RealtimeServer) =>
      spread((runs.get(server) ?? []).map(({ deliveriesPerCoreSecond }) => deliveriesPerCoreSecond));
    const peer = peers.reduce((best, each) => (efficiency(each).median > efficiency(best).median ? each : best));
    const [value, floor] = [efficiency(ours).median, efficiency(peer).median];
    const limits = new Map<RealtimeServer, Limit>();
    if (!quick) for (const server of servers) limits.set(server, await findLimit(server));

    const middle = (server: RealtimeServer, of: (measured: Run) => number) =>
      spread((runs.get(server) ?? []).map(of)).median;
    const rows = servers.map((server) => [
      server.name,
      ...Object.values(efficiency(server)).map((deliveries) => deliveries.toFixed(0)),
      middle(server, ({ cores }) => cores.server).toFixed(3),
      server.postgresPid === null ? '-' : middle(server, ({ cores }) => cores.postgres).toFixed(3),
      middle(server, ({ latencyMs }) => latencyMs.p50).toFixed(1),
      middle(server, ({ latencyMs }) => latencyMs.p99).toFixed(1),
      middle(server, ({ bytesPerMessage }) => bytesPerMessage).toFixed(0),
      ...(quick ? [] : [limits.get(server)?.told ?? '']),
    ]);
    const headings = ['deliveries a core-second', 'median', 'lowest', 'highest', 'cores', 'of Postgres', 'p50 ms'];
    headings.push('p99 ms', 'bytes', ...(quick ? [] : ['most a second']));
    console.log(`\n${table(headings, rows)}`);
    console.log(
      `\n${sockets} sockets, ${perSecond} events a second. Tapedeck authorizes each socket and reads every event from Postgres; the peers have no\ndatabase and no authorization, and publish from memory, which favours them. The better one: ${peer.name}.`,
    );
    const noise = noiseNote(Math.max(...[...runs.values()].flat().map(({ cores }) => cores.others)));
    if (noise) console.log(noise);
    const ratio = value / floor;
    return {
      ...{ name: 'realtime', value, unit: 'deliveries/core-s', floor, ratio, goal: wantedRatio, goalIs: 'at least' },
      ok: ratio >= wantedRatio,
      details: {
        peer: peer.name,
        runs: Object.fromEntries([...runs].map(([{ name }, measured]) => [name, measured])),
        limits: Object.fromEntries([...limits].map(([{ name }, limit]) => [name, limit])),
      },
    };
  } finally {
    await Promise.all(servers.map((server) => server.end()));
  }
}

interface Limit {
  /** The most that was carried with nothing late and nothing missing; 0 when not even the first step was. */
  deliveriesPerSecond: number;
  cores: number;
  /** What ended the search. */
  ended: string;
  told: string;
}

/** Doubles the pace until the server falls behind, or whatever makes the load does. */
async function findLimit(server: RealtimeServer): Promise<Limit> {
  let held: Run | undefined;
  let ended = 'nothing';
  for (let pace = perSecond * 2; pace <= highestPerSecond; pace *= 2) {
    let measured: Run;
    try {
      measured = await run(server, { sockets, perSecond: pace, windowMs: 4_000 });
    } catch (error) {
      if (!(error instanceof RunFailedError)) throw error;
      ended = `the server at ${pace} events/s: ${error.message.slice(0, 200)}`;
      break;
    }
    console.log(`limit of ${server.name}: ${pace} events/s, ${told(measured)}`);
    const { latencyMs, deliveriesPerSecond, cores } = measured;
    if (latencyMs.p99 > behind.p99Ms || deliveriesPerSecond < behind.share * measured.pace * pace * sockets) {
      ended = `${cores.clients > clientLimitCores ? 'the load generator' : 'the server'} at ${pace} events/s`;
      break;
    }
    held = measured;
    if (measured.pace < behind.share) {
      ended = `the writer at ${pace} events/s`;
      break;
    }
  }
  const { deliveriesPerSecond = 0, cores } = held ?? {};
  return { deliveriesPerSecond, cores: cores?.server ?? 0, ended, told: deliveriesPerSecond.toFixed(0) };
}

function requireIdleClients({ cores }: Run): void {
  if (cores.clients < clientLimitCores) return;
  const used = cores.clients.toFixed(2);
  throw new Error(
    `The clients used ${used} cores: they, and not the server, may have been measured. Use a faster machine.`,
  );
}

function told({ deliveriesPerSecond, deliveriesPerCoreSecond, cores, latencyMs }: Run): string {
  const used = `${cores.server.toFixed(3)} cores (Postgres ${cores.postgres.toFixed(2)}, clients ${cores.clients.toFixed(2)}, others ${cores.others.toFixed(2)})`;
  return `${deliveriesPerSecond.toFixed(0)} deliveries/s, ${deliveriesPerCoreSecond.toFixed(0)} a core-second, ${used}, p99 ${latencyMs.p99.toFixed(0)} ms`;
}
