/** Takes commands from the worker: one JSON line in, one JSON line out, over a Unix socket that only its own user can open. */
import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { type HostCommand, type HostReply, hostCommands } from '../../src/jobs/capture.js';

const idleLimitMs = 10_000;
const accepted: readonly HostCommand['command'][] = [...hostCommands, 'arrange'];

export interface CommandSocket {
  close(): void;
}

/** Listens at `path`. Commands are acknowledged when `onCommand` returns. */
export async function listenForCommands(
  path: string,
  onCommand: (command: HostCommand) => void,
): Promise<CommandSocket> {
  const server = createServer((connection) => {
    connection.setTimeout(idleLimitMs, () => connection.destroy());
    connection.on('error', () => connection.destroy());
    createInterface({ input: connection }).on('line', (line) => connection.write(`${JSON.stringify(obey(line))}\n`));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return { close: () => server.close() };

  function obey(line: string): HostReply {
    try {
      const command = JSON.parse(line) as HostCommand;
      if (!accepted.includes(command?.command))
        throw new Error(`Unknown command. Expected one of: ${accepted.join(', ')}.`);
      onCommand(command);
      return { ok: true };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message : String(error) };
    }
  }
}
