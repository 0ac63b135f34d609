/** Tells a process that hangs from one that is only slow: on a busy machine the second must not be killed for the first. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

// An answer takes 0.3 ms; a server that is starved of processor time shows as waiting for it, and gets the second limit.
const answerLimitMs = 1_000;
const busyAnswerLimitMs = 3_000;

/** What a process has used so far, and whether it waits for a processor or a disk at this moment. */
export interface Activity {
  /** Processor time of all its threads, hundredths of a second. */
  cpuTicks: number;
  waiting: boolean;
}

/** Null when the process is gone. */
export function activityOf(pid: number): Activity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything, brackets too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      cpuTicks: Number(fields[11]) + Number(fields[12]),
      waiting: fields[0] === 'R' || fields[0] === 'D',
    };
  } catch {
    return null;
  }
}

/** Follows a process that is looked at again and again: for how long, at the last look, it had done nothing at all. */
export function followActivity(pid: number): { idleMs(): number } {
  let ticks = -1;
  let activeAt = performance.now();
  return {
    idleMs() {
      const now = activityOf(pid);
      if (!now || now.waiting || now.cpuTicks !== ticks) activeAt = performance.now();
      ticks = now?.cpuTicks ?? ticks;
      return performance.now() - activeAt;
    },
  };
}

/** A server behind a Unix socket. `greeting` is anything that it answers, with a refusal or otherwise. */
export interface Server {
  socket: string;
  greeting: Buffer;
  pid: number;
}

/** Whether it does not answer though it has nothing else to do. One that is busy gets 4 s, one that is idle 1 s. */
export async function hangs(server: Server): Promise<boolean> {
  const before = activityOf(server.pid);
  if (await answers(server)) return false;
  const after = activityOf(server.pid);
  if (!before || !after) return false;
  if (!after.waiting && after.cpuTicks === before.cpuTicks) return true;
  return !(await answers(server, busyAnswerLimitMs));
}

/** Whether it answers, within 1 s unless told otherwise. */
export function answers({ socket, greeting }: Server, limitMs = answerLimitMs): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const done = (answered: boolean) => {
      clearTimeout(timer);
      connection.destroy();
      resolve(answered);
    };
    const timer = setTimeout(done, limitMs, false);
    connection.once('connect', () => connection.write(greeting));
    connection.once('data', () => done(true));
    connection.on('error', () => done(false));
    connection.once('end', () => done(false));
  });
}
