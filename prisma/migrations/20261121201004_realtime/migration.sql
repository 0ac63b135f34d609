-- DropIndex
DROP INDEX "archive_project_id_created_at_id_idx";

-- DropIndex
DROP INDEX "job_project_id_created_at_id_idx";

-- AlterTable
ALTER TABLE "api_key" ADD COLUMN     "expires_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "installation" ADD COLUMN     "events_removed_id" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "events_removed_xid" BIGINT NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "job" ADD COLUMN     "room_id" UUID;

-- CreateTable
CREATE TABLE "room" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "room_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "session" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "room_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "session_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "session_stats" (
    "session_id" UUID NOT NULL,
    "source_bytes" BIGINT NOT NULL,
    "transcoded_bytes" BIGINT NOT NULL,
    "ingest_rate" DOUBLE PRECISION NOT NULL,
    "outgoing_rate" DOUBLE PRECISION NOT NULL,
    "is_healthy" BOOLEAN,
    "issues" TEXT[],
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "session_stats_pkey" PRIMARY KEY ("session_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "room_project_id_name_key" ON "room"("project_id", "name");

-- CreateIndex
CREATE INDEX "session_room_id_last_seen_at_idx" ON "session"("room_id", "last_seen_at" DESC);

-- CreateIndex
CREATE INDEX "archive_project_id_id_idx" ON "archive"("project_id", "id" DESC);

-- CreateIndex
CREATE INDEX "event_room_id_xid_id_idx" ON "event"("room_id", "xid", "id");

-- CreateIndex
CREATE INDEX "job_project_id_id_idx" ON "job"("project_id", "id" DESC);

-- CreateIndex
CREATE INDEX "job_project_id_kind_state_id_idx" ON "job"("project_id", "kind", "state", "id" DESC);

-- CreateIndex
CREATE INDEX "job_room_id_id_idx" ON "job"("room_id", "id" DESC);

-- CreateIndex
CREATE INDEX "job_session_id_id_idx" ON "job"("session_id", "id" DESC);

-- AddForeignKey
ALTER TABLE "room" ADD CONSTRAINT "room_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "session" ADD CONSTRAINT "session_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "session" ADD CONSTRAINT "session_room_id_fkey" FOREIGN KEY ("room_id") REFERENCES "room"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "session_stats" ADD CONSTRAINT "session_stats_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job" ADD CONSTRAINT "job_room_id_fkey" FOREIGN KEY ("room_id") REFERENCES "room"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job" ADD CONSTRAINT "job_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session"("id") ON DELETE SET NULL ON UPDATE CASCADE;
