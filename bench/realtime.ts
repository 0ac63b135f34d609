/** Deliveries a second and core with 1,000 sockets on one topic: Tapedeck, bare graphql-ws with graphql-js, and Mercurius, in turns. */
import { type Run, RunFailedError, run } from './realtime-run.js';
import { type RealtimeServer, startPeer, startTapedeck } from './realtime-servers.js';
import { type BenchResult, noiseNote, spread, table } from './result.js';

const sockets = 1_000;
/** 20,000 deliveries a second. At twice that the peers need a whole core, and their queues would be measured. */
const perSecond = 20;
const wantedRatio = 3;
/** Of the processor time of a second; above it the load generator may be what is measured. */
const clientLimitCores = 0.9;
/** Beyond these a server has fallen behind. */
const tolerated = { p99Ms: 1_000, share: 0.97 };
/** The search for the limits ends here: 1,280,000 deliveries a second. */
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
    for (const server of quick ? [] : servers)
      limits.set(server, await findLimit(server, bestOf(runs.get(server) ?? [])));

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
      ...(quick ? [] : [limits.get(server)?.deliveriesPerSecond.toFixed(0) ?? '']),
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
  /** The most that was carried with nothing late and nothing missing; 0 when nothing was. */
  deliveriesPerSecond: number;
  /** Of the server, at that. */
  cores: number;
  /** What was the limit, and where. */
  ended: string;
}

/** Doubles the pace until the server falls behind, or whatever makes the load does; then tries the middle once. */
async function findLimit(server: RealtimeServer, first: Run): Promise<Limit> {
  let held: Run | undefined = whatFellBehind(first, perSecond) === null ? first : undefined;
  let ended = 'the search';
  let heldPace = perSecond;
  for (let pace = perSecond * 2; held && pace <= highestPerSecond; pace *= 2) {
    const [measured, behind] = await tryPace(server, pace);
    if (behind === null) [held, heldPace] = [measured, pace];
    else {
      ended = `${behind} at ${pace} events/s`;
      const middle = (heldPace + pace) / 2;
      const [between, stillBehind] = await tryPace(server, middle);
      if (stillBehind === null) held = between;
      else ended = `${stillBehind} at ${middle} events/s`;
      break;
    }
  }
  return { deliveriesPerSecond: held?.deliveriesPerSecond ?? 0, cores: held?.cores.server ?? 0, ended };
}

async function tryPace(server: RealtimeServer, pace: number): Promise<[Run, null] | [Run | undefined, string]> {
  try {
    const measured = await run(server, { sockets, perSecond: pace, windowMs: 4_000 });
    console.log(`limit of ${server.name}: ${pace} events/s, ${told(measured)}`);
    const behind = whatFellBehind(measured, pace);
    return behind === null ? [measured, null] : [measured, behind];
  } catch (error) {
    if (!(error instanceof RunFailedError)) throw error;
    console.log(`limit of ${server.name}: ${pace} events/s, ${error.message.slice(0, 200)}`);
    return [undefined, 'the server'];
  }
}

/** Null when everything kept up. */
function whatFellBehind(measured: Run, pace: number): 'the writer' | 'the load generator' | 'the server' | null {
  const { latencyMs, deliveriesPerSecond, cores } = measured;
  const late =
    latencyMs.p99 > tolerated.p99Ms || deliveriesPerSecond < tolerated.share * measured.pace * pace * sockets;
  if (late) return cores.clients > clientLimitCores ? 'the load generator' : 'the server';
  return measured.pace < tolerated.share ? 'the writer' : null;
}

const bestOf = (runs: Run[]): Run =>
  runs.reduce((best, each) => (each.latencyMs.p99 < best.latencyMs.p99 ? each : best));

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
