-- CreateTable
CREATE TABLE "recording" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "config" JSONB NOT NULL,
    "input_type" TEXT NOT NULL,
    "format" TEXT NOT NULL,
    "listen_port" INTEGER,
    "delete_after_days" INTEGER NOT NULL DEFAULT 0,
    "active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "recording_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "recording_listen_port_key" ON "recording"("listen_port");
CREATE INDEX "recording_project_id_id_idx" ON "recording"("project_id", "id");

-- AlterTable
ALTER TABLE "job" ADD COLUMN "start_timeout_ms" INTEGER,
ADD COLUMN "reconnect_timeout_ms" INTEGER,
ADD COLUMN "recording_id" UUID,
ADD COLUMN "preview_wanted_at" TIMESTAMPTZ(3);
ALTER TABLE "machine" ADD COLUMN "copy_slots" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN "input_host" TEXT;
ALTER TABLE "job_stats" ADD COLUMN "link" JSONB;
ALTER TABLE "file" ADD COLUMN "expires_at" TIMESTAMPTZ(3),
ADD COLUMN "reminded_at" TIMESTAMPTZ(3),
ADD COLUMN "held" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "removed_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "job_recording_id_id_idx" ON "job"("recording_id", "id" DESC);
CREATE INDEX "file_expires_at_idx" ON "file"("expires_at");

-- AddForeignKey
ALTER TABLE "recording" ADD CONSTRAINT "recording_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "job" ADD CONSTRAINT "job_recording_id_fkey" FOREIGN KEY ("recording_id") REFERENCES "recording"("id") ON DELETE SET NULL ON UPDATE CASCADE;
