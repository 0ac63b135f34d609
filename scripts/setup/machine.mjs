/** What set-up knows of the machine: the project's settings and the programs on the PATH. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where set-up notes what it did and found; deleting the folder makes it look again. */
export const buildFolder = join(projectRoot, 'build');

/** A setting from the environment, else from `.env`, as `src/config.ts` reads them; undefined when empty. */
export function setting(name) {
  return process.env[name] || fileSettings()[name] || undefined;
}

let settingsInFile;
function fileSettings() {
  if (settingsInFile) return settingsInFile;
  const file = join(projectRoot, '.env');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  const pairs = lines.map((line) => /^\s*([A-Z_]+)\s*=\s*(.*?)\s*$/.exec(line)).filter(Boolean);
  settingsInFile = Object.fromEntries(pairs.map(([, name, value]) => [name, value.replace(/^(['"])(.*)\1$/, '$2')]));
  return settingsInFile;
}

/** The file a program's name or path leads to, or undefined. */
export function findProgram(name) {
  if (name.includes('/')) {
    const path = isAbsolute(name) ? name : resolve(projectRoot, name);
    return isExecutable(path) ? path : undefined;
  }
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export const isRoot = () => process.getuid?.() === 0;
