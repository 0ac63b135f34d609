/** Runs one row and judges it: by its promise, measured in the pictures, and by everything that must hold anyway. */
import { loadavg } from 'node:os';
import { checkJob, checkTraces, type Findings } from './invariants.js';
import type { Account, Promised, Row, Trial } from './row.js';

export interface Verdict {
  name: string;
  ok: boolean;
  /** It could not be tried here; `complaints` says why. */
  skipped: boolean;
  /** Missing in the pictures of all its recordings; null when none could be read. */
  lostMs: number | null;
  recoveryMs: number | null;
  promised: Promised | null;
  /** Pictures that were read. */
  pictures: number;
  slips: number;
  /** What was tried in a row without pictures; null in all others. */
  tried: NonNullable<Account['tried']> | null;
  tookMs: number;
  /** Processes of this machine that wanted a processor, on average over the last minute of the row. */
  load: number;
  /** Whether something is wrong with the service, and not only with the time it took: the next row needs a new one. */
  unsound: boolean;
  complaints: string[];
}

/**
 * Pictures that fall between two of the page's own, in a recording that loses none. A quiet machine slips 1 of 100,
 * and up to 9 of 100 where a browser was started meanwhile; with many more a loss could hide among them.
 */
const slipShare = 0.15;

export async function runRow(row: Row, trial: Trial): Promise<Verdict> {
  const startedAt = performance.now();
  const promised = slowed(row.promise(trial.bed), trial.slowness);
  const verdict: Verdict = {
    ...{ name: row.name, ok: false, skipped: false, lostMs: null, recoveryMs: null, promised },
    ...{ pictures: 0, slips: 0, tried: null, tookMs: 0, load: 0, unsound: false, complaints: [] },
  };
  try {
    const account = await row.run(trial);
    verdict.recoveryMs = account.recoveryMs;
    verdict.tried = account.tried ?? null;
    verdict.complaints.push(...(account.complaints ?? []));
    const findings: Findings[] = [];
    for (const job of account.jobs) findings.push(await checkJob(trial.bed, job));
    for (const { complaints, lostMs, pictures } of findings) {
      verdict.complaints.push(...complaints);
      if (lostMs !== null) verdict.lostMs = (verdict.lostMs ?? 0) + lostMs;
      verdict.pictures += pictures?.seen.length ?? 0;
      verdict.slips += pictures?.slips ?? 0;
    }
    verdict.complaints.push(...(account.judge?.(findings) ?? []));
    verdict.complaints.push(...(await checkTraces(trial.bed)));
    verdict.unsound = verdict.complaints.length > 0;
    verdict.complaints.push(...broken(verdict, promised, trial.slowness));
  } catch (error) {
    verdict.unsound = true;
    verdict.complaints.push(error instanceof Error ? error.message : String(error));
  }
  verdict.ok = verdict.complaints.length === 0;
  verdict.load = loadavg()[0] as number;
  verdict.tookMs = performance.now() - startedAt;
  return verdict;
}

function broken(verdict: Verdict, promised: Promised, slowness: number): string[] {
  const { lostMs, recoveryMs, pictures, slips, tried } = verdict;
  if (tried?.count === 0) return [`There were no ${tried.unit}: nothing is known of what was lost.`];
  if (!tried && (lostMs === null || pictures === 0)) return ['No picture was read: nothing is known of what was lost.'];
  return [
    ...(lostMs !== null && lostMs > promised.lostMs
      ? [`${Math.round(lostMs)} ms of pictures were lost, promised are at most ${promised.lostMs} ms.`]
      : []),
    ...(recoveryMs !== null && recoveryMs > promised.recoveryMs
      ? [`It took ${Math.round(recoveryMs)} ms until all was well, promised are at most ${promised.recoveryMs} ms.`]
      : []),
    ...(slips > pictures * slipShare * slowness
      ? [`${slips} single pictures are missing beside ${pictures}: the machine is too busy to tell a loss from a slip.`]
      : []),
  ];
}

const slowed = ({ lostMs, recoveryMs }: Promised, slowness: number): Promised => ({
  lostMs: lostMs * slowness,
  recoveryMs: recoveryMs * slowness,
});

/** The verdict on a row that was not run: because it cannot be tried here, or because the service did not even start. */
export function untried(row: Row, why: string, { skipped }: { skipped: boolean }): Verdict {
  return {
    ...{ name: row.name, ok: skipped, skipped, lostMs: null, recoveryMs: null, promised: null },
    ...{ pictures: 0, slips: 0, tried: null, tookMs: 0, load: 0, unsound: false, complaints: [why] },
  };
}
