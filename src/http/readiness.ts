/** Whether this process can serve, told to load balancers and people. */
import type { Database } from '../db.js';

/** A part that takes longer than this counts as not working. */
const patienceMs = 2_000;

export interface Readiness {
  /** `degraded`: what is asked for is accepted and kept, but will not begin before the engine is back. */
  status: 'ready' | 'degraded' | 'not ready';
  database: boolean;
  /** Whether changes reach subscribers. */
  events: boolean;
  engine: boolean;
}

/** `checkEngine` rejects when Temporal does not answer. */
export function createReadiness(deps: {
  database: Database;
  feed: { readonly healthy: boolean };
  checkEngine: () => Promise<unknown>;
}): () => Promise<Readiness> {
  const { feed } = deps;
  return async () => {
    const [database, engine] = await Promise.all([
      succeeds(deps.database.$queryRaw`SELECT 1`),
      succeeds(deps.checkEngine()),
    ]);
    const events = feed.healthy;
    const serves = database && events;
    return { status: serves ? (engine ? 'ready' : 'degraded') : 'not ready', database, events, engine };
  };
}

async function succeeds(work: PromiseLike<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false);
  });
  const done = Promise.resolve(work).then(
    () => true,
    () => false,
  );
  return Promise.race([done, patience]).finally(() => clearTimeout(timer));
}
