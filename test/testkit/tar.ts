/** What is in the tar of an individual recording, unpacked by the system's own tar. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TarManifest } from '../../worker/finalize/individual.js';

export interface Unpacked {
  manifest: TarManifest;
  /** In the order of the tar. */
  names: string[];
  path(name: string): string;
}

/** Unpacks into a folder, which is made. Throws when a checksum of the manifest is wrong, or a file is named that is not there. */
export async function unpackTar(tar: string, folder: string): Promise<Unpacked> {
  mkdirSync(folder);
  await promisify(execFile)('tar', ['xf', tar, '-C', folder]);
  const { stdout } = await promisify(execFile)('tar', ['tf', tar]);
  const path = (name: string) => join(folder, name);
  const manifest = JSON.parse(readFileSync(path('manifest.json'), 'utf8')) as TarManifest;
  const told = [...manifest.composed, ...manifest.participants.flatMap(({ files }) => files)];
  for (const { file, sha256 } of told) {
    const found = createHash('sha256')
      .update(readFileSync(path(file)))
      .digest('hex');
    if (found !== sha256) throw new Error(`${file} has the checksum ${found}, its manifest says ${sha256}.`);
  }
  const unnamed = readdirSync(folder).filter(
    (name) => name !== 'manifest.json' && !told.some(({ file }) => file === name),
  );
  if (unnamed.length > 0) throw new Error(`The manifest does not name ${unnamed.join(', ')}.`);
  return { manifest, names: stdout.trim().split('\n'), path };
}
