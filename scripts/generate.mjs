/** Makes the code that is made of other code, each piece only when what it is made of has changed. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './setup/lock.mjs';
import { buildFolder, projectRoot } from './setup/machine.mjs';
import { run, SetupError, step } from './setup/terminal.mjs';

const notePath = join(buildFolder, 'generated.json');

const bundledPages = ['viewer.js', 'viewer.css', 'publish.js', 'publish.css'];

const pieces = [
  {
    name: 'database client',
    needs: 'prisma/schema.prisma',
    inputs: () => ['prisma/schema.prisma', 'node_modules/prisma/package.json'],
    outputs: ['src/generated/prisma/client.ts', 'src/generated/pothos.ts'],
    make: () => runTool('node_modules/prisma/build/index.js', 'generate'),
  },
  {
    name: 'typed GraphQL client',
    needs: 'codegen.yml',
    inputs: () => ['codegen.yml', 'schema/schema.graphql', ...filesIn('examples/client', ['.ts'], 'gql')],
    outputs: ['examples/client/gql/graphql.ts'],
    make: () => runTool('node_modules/@graphql-codegen/cli/esm/bin.js', '--config', 'codegen.yml'),
  },
  {
    name: 'workflow bundle',
    needs: 'workflows/index.ts',
    inputs: () => [...filesIn('workflows'), ...filesIn('src/jobs'), 'node_modules/@temporalio/workflow/package.json'],
    outputs: ['build/workflows.js'],
    make: bundleWorkflows,
  },
  {
    name: 'recorder host',
    needs: 'worker/host/main.ts',
    inputs: () => [...filesIn('worker'), ...filesIn('src', ['.ts'], 'generated'), 'node_modules/.package-lock.json'],
    outputs: ['build/host/main.js'],
    make: bundleHost,
  },
  {
    name: 'web pages',
    needs: 'web/viewer.ts',
    inputs: () => [
      ...filesIn('web', ['.ts', '.css']),
      'node_modules/janus-gateway/package.json',
      'node_modules/webrtc-adapter/package.json',
    ],
    outputs: bundledPages.map((file) => `build/web/${file}`),
    make: bundlePages,
  },
];

/** Brings all generated code up to date. Throws SetupError with the tool's own words. */
export async function generate() {
  const notes = existsSync(notePath) ? JSON.parse(readFileSync(notePath, 'utf8')) : {};
  for (const { name, needs, inputs, outputs, make } of pieces) {
    if (!existsSync(join(projectRoot, needs))) continue;
    const hash = hashOf(inputs());
    if (notes[name] === hash && outputs.every((path) => existsSync(join(projectRoot, path)))) continue;
    await step(name, make);
    notes[name] = hash;
    mkdirSync(buildFolder, { recursive: true });
    writeFileSync(notePath, `${JSON.stringify(notes, null, 2)}\n`);
  }
}

/** Prisma finds its generators on the PATH only. */
function runTool(script, ...args) {
  const PATH = [join(projectRoot, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  return run(process.execPath, [script, ...args], { cwd: projectRoot, env: { ...process.env, PATH } });
}

async function bundleWorkflows() {
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const said = [];
  const say = (message) => said.push(message);
  const logger = { log: say, trace() {}, debug() {}, info() {}, warn: say, error: say };
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath: join(projectRoot, 'workflows', 'index.ts'), logger });
    mkdirSync(buildFolder, { recursive: true });
    writeFileSync(join(buildFolder, 'workflows.js'), code);
  } catch (error) {
    throw new SetupError([...said, error.message].join('\n'));
  }
}

async function bundlePages() {
  const { build } = await import('esbuild');
  const source = (file) => join(projectRoot, 'web', file.replace(/\.js$/, '.ts'));
  try {
    await build({
      entryPoints: bundledPages.map(source),
      outdir: join(buildFolder, 'web'),
      bundle: true,
      minify: true,
      sourcemap: false,
      format: 'esm',
      target: 'es2022',
      logLevel: 'silent',
    });
  } catch (error) {
    throw new SetupError(error.message);
  }
}

// Its modules take themselves to be where their sources are; packages that are not ES modules ask for Node's own with require.
const hostBanner = `
import { createRequire } from 'node:module';
const sourceUrl = new URL('../../src/config.ts', import.meta.url).href;
const require = createRequire(sourceUrl);`;

/**
 * A host for each recording starts, and costs, a fraction of what it would if it compiled its own code and looked for that of its
 * packages file by file. Left out is what few hosts load, when they do.
 */
async function bundleHost() {
  const { build } = await import('esbuild');
  const outdir = join(buildFolder, 'host');
  rmSync(outdir, { recursive: true, force: true });
  try {
    await build({
      entryPoints: [join(projectRoot, 'worker', 'host', 'main.ts')],
      outdir,
      bundle: true,
      splitting: true,
      external: ['puppeteer', '@aws-sdk/*'],
      platform: 'node',
      format: 'esm',
      target: 'node20',
      minifySyntax: true,
      minifyWhitespace: true,
      keepNames: true,
      define: { 'import.meta.url': 'sourceUrl' },
      banner: { js: hostBanner },
      logLevel: 'silent',
    });
  } catch (error) {
    throw new SetupError(error.message);
  }
}

/** Source files below a folder, relative to the project. */
function filesIn(folder, endings = ['.ts'], except = undefined) {
  return readdirSync(join(projectRoot, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
    .filter((path) => !except || !path.startsWith(join(folder, except)))
    .sort();
}

function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    const file = join(projectRoot, path);
    hash.update(`${path}\0${existsSync(file) ? readFileSync(file, 'utf8') : ''}\0`);
  }
  return hash.digest('hex');
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await withLock(`set-up of ${projectRoot}`, generate, () =>
      console.log('  Another set-up is at work here; waiting for it …'),
    );
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}
