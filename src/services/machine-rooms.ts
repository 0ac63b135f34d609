/** What each machine has, and what the jobs that are placed on it leave of it. */
import type { Database, Transaction } from '../db.js';
import { type Amounts, lacks, type Room, tolerance } from '../jobs/admission.js';
import { coresOfSlot, type Pool } from '../jobs/cost.js';
import { machineSilenceMs } from './machines.js';

/** Of its memory so much is for jobs: the rest is for whatever else runs there. */
const shareOfMemory = 0.9;
/** What a job takes that was placed less long ago is not yet, or not all, in what its machine reports of its memory. */
const youngMs = 60_000;

/** How many places a machine has, and what the jobs on it take. */
export interface MachineRoom extends Room {
  slots: Record<Pool, number>;
  reserved: { cores: number; memoryBytes: number };
}

interface RoomRow {
  id: string;
  slots: number;
  copy_slots: number;
  cpus: number;
  displays: number | null;
  memory: bigint;
  free_memory: bigint;
  free_bytes: bigint | null;
  encoding: bigint;
  copying: bigint;
  encoding_cores: number;
  copying_cores: number;
  used_memory: bigint;
  young_memory: bigint;
  used_displays: bigint;
  reserved_bytes: bigint;
  written_bytes: bigint;
}

/**
 * What each live machine has left. A job will still write what it is expected to and has not yet; one that is being
 * finalized, a result as large as its parts.
 */
export async function readRooms(database: Transaction): Promise<MachineRoom[]> {
  const now = Date.now();
  const rows = await database.$queryRaw<RoomRow[]>`
    SELECT machine.id, machine.slots, machine.copy_slots, machine.cpus, machine.displays, machine.memory, machine.free_memory,
           machine.free_bytes, used.*,
           (disk.unwritten + finalizing.bytes)::bigint AS reserved_bytes, (disk.written + finalizing.bytes)::bigint AS written_bytes
      FROM machine
      CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE job.pool = 'encode') AS encoding,
               count(*) FILTER (WHERE job.pool = 'copy') AS copying,
               coalesce(sum(job.cores) FILTER (WHERE job.pool = 'encode'), 0) AS encoding_cores,
               coalesce(sum(job.cores) FILTER (WHERE job.pool = 'copy'), 0) AS copying_cores,
               coalesce(sum(job.memory_bytes), 0)::bigint AS used_memory,
               coalesce(sum(job.memory_bytes) FILTER (WHERE placement.placed_at > ${new Date(now - youngMs)}), 0)::bigint AS young_memory,
               coalesce(sum(job.displays), 0) AS used_displays
          FROM placement JOIN job ON job.id = placement.job_id
         WHERE placement.machine_id = machine.id AND job.state <> 'FINALIZING') used
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(coalesce(job_stats.bytes, 0)), 0) AS written,
               coalesce(sum(greatest(0, job.expected_bytes - coalesce(job_stats.bytes, 0))), 0) AS unwritten
          FROM placement JOIN job ON job.id = placement.job_id LEFT JOIN job_stats USING (job_id)
         WHERE placement.machine_id = machine.id) disk
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(job_stats.bytes), 0) AS bytes FROM job JOIN job_stats ON job_stats.job_id = job.id
         WHERE job.machine_id = machine.id AND job.state = 'FINALIZING') finalizing
     WHERE machine.last_seen_at > ${new Date(now - machineSilenceMs)}
     ORDER BY machine.id`;
  return rows.map(roomOf);
}

/** What nothing is known of there is enough of. */
const unknown = Number.POSITIVE_INFINITY;

function roomOf(row: RoomRow): MachineRoom {
  const slots = { encode: row.slots, copy: row.copy_slots };
  const jobs = { encode: Number(row.encoding), copy: Number(row.copying) };
  const cores = {
    // Who offers more places than processors has jobs in mind that take less.
    encode: Math.max(row.cpus, slots.encode * coresOfSlot.encode),
    copy: slots.copy * coresOfSlot.copy,
  };
  const memory = memoryOf(row);
  const displays = row.displays ?? unknown;
  const disk = row.free_bytes === null ? unknown : Number(row.free_bytes);
  return {
    machineId: row.id,
    ...{ slots, jobs },
    freeSlots: { encode: Math.max(0, slots.encode - jobs.encode), copy: Math.max(0, slots.copy - jobs.copy) },
    free: {
      cores: { encode: cores.encode - row.encoding_cores, copy: cores.copy - row.copying_cores },
      memoryBytes: memory.free,
      displays: displays - Number(row.used_displays),
      diskBytes: disk - Number(row.reserved_bytes),
    },
    whenIdle: { cores, memoryBytes: memory.whenIdle, displays, diskBytes: disk + Number(row.written_bytes) },
    reserved: { cores: row.encoding_cores + row.copying_cores, memoryBytes: Number(row.used_memory) },
  };
}

/** As the jobs are expected to take it, and as it is measured: whichever leaves less. */
function memoryOf(row: RoomRow): { free: number; whenIdle: number } {
  const [total, measured, used, young] = [row.memory, row.free_memory, row.used_memory, row.young_memory].map(
    Number,
  ) as [...[number, number, number, number]];
  if (total === 0) return { free: unknown, whenIdle: unknown };
  const most = total * shareOfMemory;
  return { free: Math.min(most - used, measured - young), whenIdle: Math.min(most, measured + used) };
}

/** How many more jobs of a pool a machine takes that need what one place is meant for: larger ones leave fewer than there are slots. */
export function placesLeft({ freeSlots, free }: Pick<Room, 'freeSlots' | 'free'>, pool: Pool): number {
  return Math.max(0, Math.min(freeSlots[pool], Math.floor(free.cores[pool] / coresOfSlot[pool] + tolerance)));
}

/** Why a job waits for so long, where there is more to say than that all recorders are busy; else undefined. */
export async function explainWait(db: Database, jobId: string): Promise<string | undefined> {
  const job = await db.job.findUniqueOrThrow({ where: { id: jobId } });
  const rooms = await readRooms(db);
  const wanted = {
    ...{ jobId, pool: job.pool as Pool, cores: job.cores, displays: job.displays },
    ...{ memoryBytes: Number(job.memoryBytes), diskBytes: Number(job.expectedBytes) },
  };
  const lacking = rooms.map(({ free, whenIdle }) => lacks(wanted, free, whenIdle));
  const [first] = lacking;
  if (!first || lacking.includes(null)) return undefined;
  const most = (of: (free: Amounts) => number) => gigabytes(Math.max(0, ...rooms.map(({ free }) => of(free))));
  if (lacking.every((each) => each === 'diskBytes'))
    return (
      `No recorder had room on its disk in time: ${gigabytes(wanted.diskBytes)} GB may be needed, ` +
      `${most(({ diskBytes }) => diskBytes)} GB at most are free beside what other recordings need. Free some space, add recorder ` +
      'workers, or ask for a shorter or smaller recording.'
    );
  if (rooms.every(({ whenIdle }) => whenIdle.displays < wanted.displays))
    return 'No recorder can show pages: Chromium, Xvfb or PulseAudio is missing on all of them.';
  if (lacking.includes('memoryBytes'))
    return (
      `No recorder had enough memory in time: ${gigabytes(wanted.memoryBytes)} GB may be needed, ` +
      `${most(({ memoryBytes }) => memoryBytes)} GB at most are free beside what other recordings take.`
    );
  return undefined;
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
