-- What a job takes of its machine. Jobs of before take what most of their kind did.
ALTER TABLE "job" ADD COLUMN "pool" TEXT NOT NULL DEFAULT 'encode',
ADD COLUMN "cores" DOUBLE PRECISION NOT NULL DEFAULT 0,
ADD COLUMN "memory_bytes" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN "displays" INTEGER NOT NULL DEFAULT 0;
UPDATE "job" SET "pool" = 'copy'
 WHERE "source"->>'kind' = 'people'
    OR "source"->>'kind' = 'stream' AND coalesce("source"#>>'{recording,video,mode}', '') <> 'TRANSCODE';
UPDATE "job" SET "displays" = 1 WHERE "source"->>'kind' = 'page';

-- AlterTable
ALTER TABLE "machine" ADD COLUMN "displays" INTEGER;

-- Very many may wait: who is next, and whose time is over, is found without looking at all of them.
CREATE INDEX "job_waiting_idx" ON "job"("pool", "project_id", "priority" DESC, "id") WHERE "state" = 'QUEUED';
CREATE INDEX "job_queue_deadline_idx" ON "job"("deadline_at") WHERE "state" = 'QUEUED';
