/** How set-up speaks: one line a step with its time, and the output of a command only when it failed. */
import { spawn } from 'node:child_process';

/** A step that cannot go on; the message says what to do. Set-up prints it without a stack trace. */
export class SetupError extends Error {}

/** Terminals see the seconds count up; logs get a sign of life this often. */
const signOfLifeMs = 30_000;

/** Runs `work` under a title that is printed with the time it took. */
export async function step(title, work) {
  const startedAt = Date.now();
  const elapsed = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  const live = process.stdout.isTTY;
  process.stdout.write(live ? `  ${title} …` : `  ${title} …\n`);
  const timer = setInterval(
    () => process.stdout.write(live ? `\r  ${title} … ${elapsed()}` : `  ${title}: still going after ${elapsed()}\n`),
    live ? 1000 : signOfLifeMs,
  );
  try {
    const result = await work();
    process.stdout.write(`${live ? '\r\x1b[K' : ''}  ${title}: done in ${elapsed()}\n`);
    return result;
  } catch (error) {
    process.stdout.write(`${live ? '\r\x1b[K' : ''}  ${title}: failed after ${elapsed()}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/**
 * Runs a command to its end without a shell and returns its standard output. Throws SetupError with all it printed when
 * it fails, or when it is not there.
 */
export function run(command, args, { cwd, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const printed = { all: '', stdout: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      printed.all += text;
      printed.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      printed.all += text;
    });
    const commandLine = [command, ...args].join(' ');
    child.on('error', (error) => reject(new SetupError(`\`${commandLine}\` could not be run: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(printed.stdout);
      else
        reject(
          new SetupError(`${printed.all.trimEnd()}\n\n\`${commandLine}\` failed (${signal ?? `exit code ${code}`}).`),
        );
    });
  });
}
