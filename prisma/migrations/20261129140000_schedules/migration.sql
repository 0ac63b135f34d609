-- CreateTable
CREATE TABLE "schedule" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "timezone" TEXT NOT NULL,
    "windows" JSONB NOT NULL,
    "starts_from" TIMESTAMPTZ(3),
    "ends_at" TIMESTAMPTZ(3),
    "is_paused" BOOLEAN NOT NULL DEFAULT false,
    "work" JSONB NOT NULL,
    "recording_id" UUID,
    "due_at" TIMESTAMPTZ(3),
    "retry_at" TIMESTAMPTZ(3),
    "last_run_at" TIMESTAMPTZ(3),
    "last_error" TEXT,
    "last_error_at" TIMESTAMPTZ(3),
    "last_error_of" TIMESTAMPTZ(3),
    "version" INTEGER NOT NULL DEFAULT 1,
    "told_version" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "schedule_pkey" PRIMARY KEY ("id")
);

-- AlterTable
ALTER TABLE "job" ADD COLUMN "schedule_id" UUID,
ADD COLUMN "stop_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "schedule_project_id_id_idx" ON "schedule"("project_id", "id" DESC);
CREATE INDEX "schedule_due_at_idx" ON "schedule"("due_at");
CREATE INDEX "job_schedule_id_id_idx" ON "job"("schedule_id", "id" DESC);

-- AddForeignKey
ALTER TABLE "schedule" ADD CONSTRAINT "schedule_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "schedule" ADD CONSTRAINT "schedule_recording_id_fkey" FOREIGN KEY ("recording_id") REFERENCES "recording"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "job" ADD CONSTRAINT "job_schedule_id_fkey" FOREIGN KEY ("schedule_id") REFERENCES "schedule"("id") ON DELETE SET NULL ON UPDATE CASCADE;
