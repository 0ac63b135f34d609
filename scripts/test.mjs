/**
 * All checks and tests; with arguments, the tests they select only (they are passed to vitest).
 * The last line is `N passed, N failed`: each check counts as one, beside the tests.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureVersitygw } from './setup/go-tools.mjs';
import { projectRoot } from './setup/machine.mjs';
import { ensureNginxRtmp } from './setup/nginx-rtmp.mjs';
import { SetupError } from './setup/terminal.mjs';

const checks = {
  types: ['tsc', '--noEmit'],
  'types of the pages': ['tsc', '--noEmit', '-p', 'web'],
  'lint and format': ['biome', 'check', '.'],
  'schema lint': [join(projectRoot, 'scripts', 'lint-schema.mjs')],
};

const selection = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };

for (const [name, [command, ...args]] of selection.length === 0 ? Object.entries(checks) : []) {
  const ok = run(command, args);
  counts[ok ? 'passed' : 'failed'] += 1;
  console.log(`${ok ? '✓' : '✗'} ${name}`);
}

for (const ensure of [ensureVersitygw, ensureNginxRtmp]) {
  await ensure().catch((error) => {
    if (!(error instanceof SetupError)) throw error;
    // All other tests can be run; those that need it will fail.
    console.error(error.message);
  });
}
const tests = runTests();
counts.passed += tests.passed;
counts.failed += tests.failed;
counts.skipped += tests.skipped;

if (tests.passed + tests.failed === 0) {
  console.log('No test was run.');
  process.exitCode = 1;
}
if (counts.failed > 0) process.exitCode = 1;
console.log(
  `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`,
);

function run(command, args) {
  const script = command.endsWith('.mjs');
  const file = script ? process.execPath : join(projectRoot, 'node_modules', '.bin', command);
  return (
    spawnSync(file, script ? [command, ...args] : args, { cwd: projectRoot, stdio: ['ignore', 'inherit', 'inherit'] })
      .status === 0
  );
}

function runTests() {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-tests-'));
  const file = join(folder, 'report.json');
  try {
    const ok = run('vitest', [
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
      ...selection,
    ]);
    const { testResults } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { testResults: [] };
    const outcomes = testResults.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
    const count = (status) => outcomes.filter((outcome) => outcome === status).length;
    // A file that could not be loaded, or an error outside any test, fails the run without a failed test to show for it.
    const failed = Math.max(count('failed'), ok ? 0 : 1);
    return { passed: count('passed'), failed, skipped: outcomes.length - count('passed') - count('failed') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
