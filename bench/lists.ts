/** Pages of lists through the whole API, of a million jobs against the same pages of a thousand, in turns. */
import { type ApiStack, startApiStack } from './api-stack.js';
import { type BenchResult, percentile, table } from './result.js';

const highestRatio = 1.3;
const smallSize = 1_000;
const pageSize = 20;
// Unmeasured, until code and caches are warm.
const warmUps = 20;
/** The jobs are that far apart. */
const spacingMs = 30_000;
const firstMs = Date.UTC(2025, 0, 1);

interface Size {
  stack: ApiStack;
  count: number;
  /** A cursor in the middle of each list, and a time that a twentieth of the rows is older than. */
  middle: Record<'jobs' | 'archives', string>;
  earlyTime: string;
}

interface Query {
  name: string;
  document(size: Size): string;
}

const selections = {
  jobs: 'id kind state reason progress createdAt startedAt endedAt recordedDuration archive { id name }',
  archives: 'id name url resolution status progress createdAt startedAt duration',
};
const list = (field: 'jobs' | 'archives', args: string): string =>
  `{ list: ${field}(${args}) { nodes { ${selections[field]} } pageInfo { hasNextPage endCursor } } }`;

const queries: Query[] = (['jobs', 'archives'] as const).flatMap((field) => [
  { name: `${field}, first page`, document: () => list(field, `first: ${pageSize}`) },
  {
    name: `${field}, page in the middle`,
    document: ({ middle }) => list(field, `first: ${pageSize}, after: "${middle[field]}"`),
  },
  { name: `${field}, last page`, document: () => list(field, `last: ${pageSize}`) },
  {
    name: `${field}, failed ones, all of long ago`,
    document: () => list(field, `first: ${pageSize}, filter: { states: [FAILED] }`),
  },
  {
    name: `${field}, 25 of rare states`,
    document: () => list(field, `first: ${pageSize}, filter: { states: [PAUSED, RECONNECTING, STANDBY] }`),
  },
  {
    name: `${field}, made before a time long ago`,
    document: ({ earlyTime }) => list(field, `first: ${pageSize}, filter: { createdBefore: "${earlyTime}" }`),
  },
]);

/** About 3 minutes; 45 s when quick, with 200,000 jobs instead of a million. */
export async function benchLists(quick: boolean): Promise<BenchResult> {
  const largeSize = quick ? 200_000 : 1_000_000;
  const rounds = quick ? 60 : 200;
  const stacks: ApiStack[] = [];
  const measured = queries.map(({ name }) => ({ name, small: [] as number[], large: [] as number[] }));
  try {
    const sizes: Size[] = [];
    for (const count of [smallSize, largeSize]) {
      const stack = await startApiStack();
      stacks.push(stack);
      const startedAt = performance.now();
      sizes.push(await fill(stack, count));
      console.log(`${count.toLocaleString('en')} jobs: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    }
    const [small, large] = sizes as [Size, Size];
    for (let round = -warmUps; round < rounds; round++) {
      for (const [index, query] of queries.entries()) {
        // Who comes first alternates too: it finds the processor's caches as the query before left them.
        const turns = round % 2 === 0 ? ([small, large] as const) : ([large, small] as const);
        for (const size of turns) {
          const tookMs = await timePage(size, query);
          if (round >= 0) measured[index]?.[size === small ? 'small' : 'large'].push(tookMs);
        }
      }
    }
  } finally {
    for (const stack of stacks) await stack.stop();
  }

  const results = measured.map(({ name, small, large }) => {
    const [floor, value] = [percentile(small, 0.5), percentile(large, 0.5)];
    return {
      name,
      floor,
      value,
      ratio: value / floor,
      p95: percentile(large, 0.95),
      smallP95: percentile(small, 0.95),
    };
  });
  const rows = results.map(({ name, floor, value, ratio, p95, smallP95 }) => [
    name,
    ...[floor, smallP95, value, p95].map((ms) => ms.toFixed(2)),
    ratio.toFixed(3),
  ]);
  const of = (count: number) => `of ${count.toLocaleString('en')}`;
  console.log(`\n${table(['ms', of(smallSize), 'p95', of(largeSize), 'p95', 'ratio of medians'], rows)}`);
  const worst = results.reduce((one, other) => (other.ratio > one.ratio ? other : one));
  return {
    ...{ name: 'lists', value: worst.value, unit: 'ms', floor: worst.floor, ratio: worst.ratio, goal: highestRatio },
    ok: worst.ratio <= highestRatio && measured.every(({ small, large }) => small.length + large.length === 2 * rounds),
    details: { worst: worst.name, small: smallSize, large: largeSize, rounds, queries: results },
  };
}

/**
 * Jobs and their archives, from the oldest to the newest. A third of the oldest tenth failed, and 25 in the older half are
 * paused: what is rare, and long ago, is what a list has to look for. Statistics are those autovacuum would have gathered.
 */
async function fill(stack: ApiStack, count: number): Promise<Size> {
  const { db, projectId } = stack;
  await db.$executeRaw`
    INSERT INTO job (id, project_id, kind, state, source, max_duration_ms, event_sequence, access_token_hash, created_at, updated_at)
    SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(number % 4096), 3, '0') || '8' || left(md5(number::text), 15))::uuid,
           ${projectId}::uuid, 'ARCHIVE',
           (CASE WHEN number < ${count}::bigint / 2 AND number % (${count}::bigint / 50) = 7 THEN 'PAUSED'
                 WHEN number < ${count}::bigint / 10 AND number % 3 = 0 THEN 'FAILED'
                 ELSE 'COMPLETE' END)::"JobState",
           '{"kind":"page","url":"https://example.org/","width":1280,"height":720,"fps":30,"loadTimeoutMs":30000}',
           300000, 7, '\\x00', to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0)
      FROM generate_series(1::bigint, ${count}::bigint) AS number,
           LATERAL (SELECT ${firstMs}::bigint + number * ${spacingMs}::bigint AS ms) AS time`;
  await db.$executeRaw`
    INSERT INTO archive (id, project_id, name, url, width, height, created_at)
    SELECT id, project_id, 'Archive', 'https://example.org/', 1280, 720, created_at FROM job ORDER BY id`;
  for (const name of ['job', 'archive']) await db.$executeRawUnsafe(`VACUUM ANALYZE ${name}`);
  const timeOf = (share: number) => new Date(firstMs + share * count * spacingMs).toISOString();
  const cursorAt = async (field: 'jobs' | 'archives', time: string) => {
    const document = list(field, `first: 1, filter: { createdBefore: "${time}" }`);
    return (await ask(stack, document)).pageInfo.endCursor;
  };
  const middle = { jobs: await cursorAt('jobs', timeOf(0.5)), archives: await cursorAt('archives', timeOf(0.5)) };
  return { stack, count, middle, earlyTime: timeOf(0.05) };
}

interface Page {
  nodes: unknown[];
  pageInfo: { endCursor: string };
}

/** Milliseconds until the answer was read. Throws when it is not a whole page. */
async function timePage(size: Size, { name, document }: Query): Promise<number> {
  const text = document(size);
  const startedAt = performance.now();
  const { nodes } = await ask(size.stack, text);
  const tookMs = performance.now() - startedAt;
  if (nodes.length !== pageSize) {
    throw new Error(`"${name}" of ${size.count} jobs has ${nodes.length} rows instead of ${pageSize}.`);
  }
  return tookMs;
}

async function ask({ url, apiKey }: ApiStack, query: string): Promise<Page> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = (await response.json()) as { data?: { list: Page }; errors?: unknown };
  if (!data || errors) throw new Error(`The service answered ${response.status}: ${JSON.stringify(errors)}`);
  return data.list;
}
