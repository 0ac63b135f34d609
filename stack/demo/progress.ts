/** Shows a recording as it goes on: a bar that moves in a terminal, a line a second in a log. */
import type { JobState, JobStatsSubscription } from '../../examples/client/gql/graphql.js';

export type Stats = JobStatsSubscription['jobStats'];

export interface Progress {
  state(state: JobState): void;
  stats(stats: Stats): void;
  /** Leaves the last line as it is. */
  end(): void;
}

const barWidth = 24;
const lineIntervalMs = 1000;

/** `seconds`: the length of the recording. */
export function showProgress(seconds: number, out: NodeJS.WriteStream): Progress {
  let current: JobState | undefined;
  let latest: Stats | undefined;
  let drawn = '';
  let printedAt = 0;

  function draw(atOnce: boolean) {
    const line = describe(current, latest, seconds);
    if (out.isTTY) {
      out.write(`\r\x1b[K${line.slice(0, out.columns - 1)}`);
    } else if (line !== drawn && (atOnce || Date.now() - printedAt >= lineIntervalMs)) {
      out.write(`${line}\n`);
      printedAt = Date.now();
    }
    drawn = line;
  }

  return {
    state(state) {
      if (state === current) return;
      current = state;
      draw(true);
    },
    stats(stats) {
      latest = stats;
      draw(false);
    },
    end() {
      if (out.isTTY) out.write('\n');
    },
  };
}

const capturing: readonly JobState[] = ['RECORDING', 'RECONNECTING', 'STOPPING'];

function describe(state: JobState | undefined, stats: Stats | undefined, seconds: number): string {
  if (!state || !capturing.includes(state)) return state ?? '';
  const position = stats ? Math.min(stats.position, seconds) : 0;
  const filled = Math.round((position / seconds) * barWidth);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
  const facts = stats
    ? [
        `${position.toFixed(1)} of ${seconds} s`,
        `${stats.fps.toFixed(0)} fps`,
        `${(stats.bitrate / 1000).toFixed(0)} kbit/s`,
        `${(Number(stats.size) / 1e6).toFixed(2)} MB`,
      ]
    : [];
  return [`${state.padEnd(12)} ${bar}`, ...facts].join('  ');
}
