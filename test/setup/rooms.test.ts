import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** The rooms of the house: which code may use what. Types may come from anywhere, they are gone when it runs. */

const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const rooms = ['schema', 'src', 'workflows', 'worker', 'stack', 'web', 'bench', 'chaos', 'examples', 'scripts', 'test'];
const generated = ['src/generated/', 'examples/client/gql/'];

interface Source {
  path: string;
  text: string;
  /** What it imports to run: packages by name, our own files by their path in the project without ending. */
  imports: string[];
}

const sources: Source[] = rooms
  .flatMap((room) =>
    readdirSync(join(projectRoot, room), { recursive: true, encoding: 'utf8' }).map((path) => join(room, path)),
  )
  .map((path) => path.split(sep).join('/'))
  .filter((path) => /\.(ts|mjs)$/.test(path) && !generated.some((folder) => path.startsWith(folder)))
  .map((path) => {
    const text = readFileSync(join(projectRoot, path), 'utf8');
    return { path, text, imports: importsOf(path, text) };
  });

function importsOf(path: string, text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm);
  const calls = text.matchAll(/\bimport\(\s*()['"]([^'"]+)['"]/g);
  return [...statements, ...calls]
    .filter(([, isType]) => !isType)
    .map(([, , name]) => name as string)
    .map((name) =>
      name.startsWith('.')
        ? relative(projectRoot, join(projectRoot, dirname(path), name)).replace(/\.(js|mjs|ts)$/, '')
        : name,
    );
}

/** Paths of the sources below the folders that break a rule. */
function offenders(folders: string[], isOffence: (source: Source) => boolean): string[] {
  const inside = (path: string) => folders.some((folder) => path.startsWith(`${folder}/`));
  return sources.filter((source) => inside(source.path) && isOffence(source)).map(({ path }) => path);
}

const importsFrom = (test: (name: string) => boolean) => (source: Source) => source.imports.some(test);
const isGraphql = (name: string) => /^(graphql|@pothos|@graphql|schema)([-/]|$)/.test(name);

describe('each room keeps to itself', () => {
  test('workflows use the workflow library and the job model, and nothing else', () => {
    const allowed = (name: string) => name === '@temporalio/workflow' || /^(workflows|src\/jobs)\//.test(name);
    expect(
      offenders(
        ['workflows'],
        importsFrom((name) => !allowed(name)),
      ),
    ).toEqual([]);
  });

  test('the job model does no input or output', () => {
    expect(
      offenders(
        ['src/jobs'],
        importsFrom((name) => !name.startsWith('src/jobs/')),
      ),
    ).toEqual([]);
  });

  test('the schema reaches the world through services: no engine, network, disk or SQL of its own', () => {
    const forbidden = (name: string) =>
      /^(node:|@temporalio|@prisma|pg$|worker\/|workflows\/|stack\/|src\/(temporal|storage|net)\/)/.test(name);
    expect(offenders(['schema'], importsFrom(forbidden))).toEqual([]);
  });

  test('services know no GraphQL', () => {
    expect(
      offenders(
        ['src/services', 'src/jobs', 'src/events', 'src/storage', 'src/net', 'src/temporal'],
        importsFrom(isGraphql),
      ),
    ).toEqual([]);
  });

  test('the worker knows no GraphQL, the API starts no worker code', () => {
    expect(offenders(['worker', 'workflows'], importsFrom(isGraphql))).toEqual([]);
    expect(
      offenders(
        ['src', 'schema'],
        importsFrom((name) => /^(worker|stack|bench|chaos|test)\//.test(name)),
      ),
    ).toEqual([]);
  });

  test('a recorder host has no database and no engine', () => {
    const forbidden = (name: string) =>
      /^(@temporalio|@prisma|pg$|src\/(db|services|temporal|generated)(\/|$))/.test(name);
    expect(
      offenders(
        [
          ...['worker/host', 'worker/capture', 'worker/recorders', 'worker/streams', 'worker/ffmpeg', 'worker/parts'],
          'worker/shipping',
        ],
        importsFrom(forbidden),
      ),
    ).toEqual([]);
  });

  test('nothing outside the tests, benches and fault runs uses the testkit', () => {
    const others = rooms.filter((room) => !['test', 'bench', 'chaos'].includes(room));
    expect(
      offenders(
        others,
        importsFrom((name) => name.startsWith('test/')),
      ),
    ).toEqual([]);
  });
});

describe('what only some may do', () => {
  test('only workers, stack, scripts, benches, fault runs and tests start processes', () => {
    expect(
      offenders(
        ['schema', 'src', 'workflows', 'web', 'examples'],
        importsFrom((name) => name === 'node:child_process'),
      ),
    ).toEqual([]);
  });

  test('only src/config.ts and scripts read the environment', () => {
    const readsEnvironment = ({ path, text }: Source) =>
      path !== 'src/config.ts' && path !== 'test/setup/rooms.test.ts' && /\bprocess\.env\b/.test(text);
    expect(
      offenders(
        rooms.filter((room) => room !== 'scripts'),
        readsEnvironment,
      ),
    ).toEqual([]);
  });

  test('set-up needs nothing but Node', () => {
    const ofSetUp = ['scripts/setup.mjs', 'scripts/generate.mjs'];
    const usesPackage = ({ path, text }: Source) =>
      (ofSetUp.includes(path) || path.startsWith('scripts/setup/')) && /^import [^;]*from '(?!node:|\.)/m.test(text);
    expect(offenders(['scripts'], usesPackage)).toEqual([]);
  });
});

describe('files are named for what they hold', () => {
  test('no file is called utils, helpers or common', () => {
    expect(
      sources.map(({ path }) => path).filter((path) => /\/(utils?|helpers?|common|misc)\.\w+$/.test(path)),
    ).toEqual([]);
  });

  test('no file only passes on what others define', () => {
    const isBarrel = ({ text }: Source) => {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').trim();
      return (
        code !== '' &&
        code
          .split(/;\s*/)
          .filter(Boolean)
          .every((statement) => /^export\s+(type\s+)?(\*|\{)[\s\S]*\sfrom\s/.test(statement))
      );
    };
    // Temporal takes the workflows of a bundle from one file.
    const allowed = ['workflows/index.ts'];
    expect(offenders(rooms, isBarrel).filter((path) => !allowed.includes(path))).toEqual([]);
  });
});
