/** Notes the processes of a stack, so that the next one can end those that outlived a killed stack. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from '../src/process-identity.js';
import type { Log } from './log.js';
import { endProcess } from './process-end.js';

type Notes = Record<string, ProcessIdentity>;

const notesFile = (dataDir: string) => join(dataDir, 'processes.json');
const endLimitMs = 10_000;

/** Ends what is left of an earlier stack on this data folder. Call it only while holding the claim on the folder. */
export async function endLeftovers(dataDir: string, log: Log): Promise<void> {
  if (!existsSync(notesFile(dataDir))) return;
  const notes: Notes = JSON.parse(readFileSync(notesFile(dataDir), 'utf8'));
  await Promise.all(
    Object.entries(notes)
      .filter(([, identity]) => isRunning(identity))
      .map(async ([name, identity]) => {
        log('stack', `${name} of an earlier stack still runs (process ${identity.pid}); it is ended`);
        await endProcess(identity, [
          { signal: 'SIGTERM', limitMs: endLimitMs },
          { signal: 'SIGKILL', limitMs: endLimitMs },
        ]);
      }),
  );
}

/** Answers a function that notes each process as it starts. */
export function keepNotes(dataDir: string): (name: string, pid: number) => void {
  const notes: Notes = {};
  return (name, pid) => {
    const identity = identify(pid);
    if (!identity) return;
    notes[name] = identity;
    writeFileSync(notesFile(dataDir), JSON.stringify(notes, null, 2));
  };
}
