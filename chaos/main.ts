/** `npm run chaos [-- --only NAME[,NAME]] [--quick] [--json] [--seed N]`: breaks everything, and reads from the pictures what was lost. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type BenchResult, table } from '../bench/result.js';
import { onInterrupt } from '../stack/interrupt.js';
import { type Bed, openBed } from './bed.js';
import { createChance } from './chance.js';
import { matrix } from './matrix.js';
import type { Row } from './row.js';
import { runRow, untried, type Verdict } from './run-row.js';

const shownLogLines = 40;
/** A row itself keeps the processors of a small machine busy. */
const busyLoad = 2;

const { rows, quick, json, seed } = readOptions();
let starting = new AbortController();
let bed: Bed | undefined;
let opening: Promise<Bed> | undefined;
let isInterrupted = false;
onInterrupt({
  first: async () => {
    console.error('\nInterrupted; cleaning up.');
    isInterrupted = true;
    starting.abort(new Error('Interrupted.'));
    await opening?.catch(() => {});
    bed?.abort();
    await bed?.close();
  },
  second: () => bed?.abort(),
  exitCode: 130,
});

/** The process is about to end: nothing more is begun or said. */
const forever = new Promise<never>(() => {});

const chance = createChance(seed);
console.log(`${rows.length} ${rows.length === 1 ? 'row' : 'rows'}, seed ${seed}${quick ? ', quick' : ''}`);
const verdicts: Verdict[] = [];
for (const row of rows) {
  const verdict = await tryRow(row);
  verdicts.push(verdict);
  console.log(told(verdict));
}
await bed?.close();

const headings = ['fault', 'lost ms', 'promised', 'recovery ms', 'promised', 'verdict'];
console.log(
  `\n${table(
    headings,
    verdicts.map((verdict) => [
      ...[verdict.name, ms(verdict.lostMs), ms(verdict.promised?.lostMs)],
      ...[ms(verdict.recoveryMs), ms(verdict.promised?.recoveryMs), verdictOf(verdict)],
    ]),
  )}`,
);
const load = Math.max(...verdicts.map((verdict) => verdict.load));
if (load > availableParallelism() * busyLoad) {
  console.log(
    `\nUp to ${load.toFixed(0)} processes wanted a processor at once: times are longer than on a quiet machine.`,
  );
}
const result = summary(verdicts);
if (json) {
  const { details, ...numbers } = result;
  console.log(JSON.stringify({ ...numbers, ...details }));
}
process.exit(result.ok ? 0 : 1);

/** Runs a row on the service that the rows before it left, or on a new one where that may not be sound any more. */
async function tryRow(row: Row): Promise<Verdict> {
  if (isInterrupted) return forever;
  const obstacle = row.obstacle?.() ?? null;
  if (obstacle) return untried(row, obstacle, { skipped: true });
  const kind = row.bed ?? 'machine';
  if (bed && bed.kind !== kind) await bed.close();
  if (bed?.kind !== kind) {
    starting = new AbortController();
    bed = undefined;
    try {
      opening = openBed({ kind, quick, signal: starting.signal });
      bed = await opening;
    } catch (error) {
      return untried(row, `The service did not start: ${(error as Error).message}`, { skipped: false });
    }
  }
  const verdict = await runRow(row, { bed, quick, chance: chance.of(row.name), slowness: 1 });
  if (isInterrupted) return forever;
  if (verdict.unsound) {
    console.error(bed.lastWords(shownLogLines));
    const broken = bed;
    bed = undefined;
    console.error(`The logs and data of that service are kept in ${await broken.close({ keep: true })}`);
  }
  return verdict;
}

function told(verdict: Verdict): string {
  const { name, lostMs, recoveryMs, pictures, slips, tried, tookMs, complaints } = verdict;
  const read = tried
    ? `${tried.count} ${tried.unit} under ${tried.under}`
    : `${pictures} pictures read, ${slips} slips`;
  const measured = verdict.skipped
    ? ''
    : `: lost ${ms(lostMs)} ms, recovered after ${ms(recoveryMs)} ms; ${read}; took ${(tookMs / 1000).toFixed(0)} s`;
  return [`${verdictOf(verdict)}  ${name}${measured}`, ...complaints.map((complaint) => `    ${complaint}`)].join('\n');
}

function ms(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(Math.round(value));
}

function verdictOf({ ok, skipped }: Verdict): string {
  if (skipped) return 'not tried';
  return ok ? 'ok' : 'BROKEN';
}

/** Of one row: what it lost, or how much was tried in it. Of several: the share of those tried that are well. */
function summary(all: readonly Verdict[]): BenchResult {
  const tried = all.filter(({ skipped }) => !skipped);
  const well = tried.filter(({ ok }) => ok).length;
  const ok = tried.length > 0 && well === tried.length;
  const details = { seed, quick, rows: all };
  const [only] = all;
  if (all.length === 1 && only?.tried) {
    const { count, unit } = only.tried;
    return { name: only.name, value: count, unit, floor: null, ratio: null, goal: null, ok, details };
  }
  if (all.length === 1 && only) {
    const [value, floor] = [only.lostMs, only.promised?.lostMs ?? null];
    return { name: only.name, value, unit: 'ms', floor, ratio: null, goal: floor, ok, details };
  }
  const share = tried.length === 0 ? null : well / tried.length;
  return { name: 'chaos', value: share, unit: 'share of rows', floor: null, ratio: share, goal: 1, ok, details };
}

function readOptions() {
  const usage = (complaint: string): never => {
    console.error(`${complaint}\nUsage: npm run chaos [-- --only NAME[,NAME]] [--quick] [--json] [--seed N]\n`);
    for (const { name, about } of matrix) console.error(`  ${name.padEnd(22)}${about}`);
    process.exit(2);
  };
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        seed: { type: 'string' },
      },
    });
    const wanted = values.only?.split(',');
    const unknown = wanted?.find((name) => !matrix.some((row) => row.name === name));
    if (unknown !== undefined) return usage(`There is no row "${unknown}".`);
    const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
    if (!Number.isSafeInteger(seed) || seed < 0) return usage('The seed must be a whole number.');
    return { ...values, seed, rows: matrix.filter(({ name }) => !wanted || wanted.includes(name)) };
  } catch (error) {
    return usage((error as Error).message);
  }
}
