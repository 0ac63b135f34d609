/** One readable stream of what all processes of the stack say. */

/** Takes finished lines, without the line break. */
export type LineSink = (line: string) => void;
export type Log = (name: string, text: string) => void;

const nameWidth = 8;
const levels: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

/** Lines as `HH:MM:SS.mmm name | text`; JSON lines of pino are made readable. */
export function createLog(sink: LineSink): Log {
  return (name, text) => {
    const time = new Date().toISOString().slice(11, 23);
    for (const line of text.split('\n')) sink(`${time} ${name.padEnd(nameWidth)} | ${readable(line)}`);
  };
}

function readable(line: string): string {
  if (!line.startsWith('{"level":')) return line;
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  const { level, time: _time, pid: _pid, hostname: _hostname, name: _name, msg, err, ...fields } = entry;
  const details = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const stack = (err as { stack?: string } | undefined)?.stack;
  return [levels[level as number], msg, ...details, stack && `\n${stack}`].filter(Boolean).join(' ');
}
