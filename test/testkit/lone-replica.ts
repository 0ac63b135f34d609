/** A replica of the API on a database of its own, so that all that it holds and asks for is what a test makes it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createJobToken } from '../../src/auth/tokens.js';
import type { Database } from '../../src/db.js';
import { api, type Socket } from './api.js';
import { ownDatabase } from './database.js';
import { createJobRow, createProject } from './jobs.js';
import { createKey } from './keys.js';
import { type Replica, startReplica } from './server.js';

export interface LoneReplica {
  replica: Replica;
  db: Database;
  databaseUrl: string;
  projectId: string;
  /** Of the project, for everything. */
  key: string;
  /** A job that is being recorded: its row, and its global id. Streams that begin now are told nothing of what was before. */
  newJob(roomId?: string): Promise<{ jobId: string; id: string }>;
  /** The job's own token. */
  tokenOf(jobId: string): Promise<string>;
  /** A welcomed socket, closed by `leaveAll`. */
  open(token?: string): Promise<Socket>;
  /** Closes what was opened, and expects that then nobody is followed for. */
  leaveAll(): Promise<void>;
  remove(): Promise<void>;
}

export async function startLoneReplica(): Promise<LoneReplica> {
  const own = await ownDatabase();
  const { db } = own;
  const replica = await startReplica(own.url);
  const projectId = await createProject(db);
  const key = await createKey(db, projectId);
  const sockets: Socket[] = [];
  return {
    ...{ replica, db, databaseUrl: own.url, projectId, key },
    async newJob(roomId) {
      const jobId = await createJobRow(db, projectId, 'RECORDING', { roomId });
      // What is not settled yet when a project's stream begins is told after its snapshot, and any transaction on the server
      // that is older, also one of other tests, keeps it from being settled.
      const isSettled = async () => {
        const [row] = await db.$queryRaw<{ settled: boolean }[]>`
          SELECT xid < pg_snapshot_xmin(pg_current_snapshot()) AS settled FROM event WHERE job_id = ${jobId}::uuid`;
        return row?.settled;
      };
      while (!(await isSettled())) await sleep(5);
      return { jobId, id: encodeId('Job', jobId) };
    },
    async tokenOf(jobId) {
      const { token, hash } = createJobToken(jobId);
      await db.job.update({ where: { id: jobId }, data: { accessTokenHash: hash } });
      return token;
    },
    async open(token = key) {
      const socket = await api(token, replica.url).connect();
      sockets.push(socket);
      await socket.init();
      return socket;
    },
    async leaveAll() {
      for (const socket of sockets.splice(0)) socket.close();
      await expect.poll(() => [replica.followed, replica.kept]).toEqual([0, 0]);
    },
    async remove() {
      await replica.close();
      await own.remove();
    },
  };
}
