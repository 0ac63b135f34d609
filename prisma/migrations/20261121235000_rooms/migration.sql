-- CreateEnum
CREATE TYPE "ParticipantKind" AS ENUM ('BROWSER', 'INGEST', 'RENDER');

-- CreateEnum
CREATE TYPE "TargetState" AS ENUM ('CONNECTING', 'LIVE', 'RECONNECTING', 'ENDED', 'FAILED');

-- AlterEnum
ALTER TYPE "FileKind" ADD VALUE 'TAR';
ALTER TYPE "FileKind" ADD VALUE 'PLAYLIST';
ALTER TYPE "FileKind" ADD VALUE 'SEGMENTS';

-- DropIndex
DROP INDEX "room_project_id_name_key";

-- AlterTable
ALTER TABLE "archive" ADD COLUMN     "individual" BOOLEAN NOT NULL DEFAULT false,
ALTER COLUMN "url" DROP NOT NULL;

-- AlterTable
ALTER TABLE "job" ADD COLUMN     "automatic" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "idle_timeout_ms" INTEGER;

-- AlterTable
ALTER TABLE "room" ADD COLUMN     "deleted_at" TIMESTAMPTZ(3),
ADD COLUMN     "deleted_key" TEXT NOT NULL DEFAULT '',
ADD COLUMN     "profiles" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "record" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "recording_spec" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN     "stream_key" TEXT NOT NULL DEFAULT gen_random_uuid()::text,
ADD COLUMN     "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
ADD COLUMN     "user_id" UUID;

-- AlterTable
ALTER TABLE "session" ADD COLUMN     "playback_id" TEXT NOT NULL DEFAULT gen_random_uuid()::text,
ADD COLUMN     "profiles" JSONB NOT NULL DEFAULT '[]',
ADD COLUMN     "record" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "recording_spec" JSONB NOT NULL DEFAULT '{}';

-- AlterTable
ALTER TABLE "session_stats" ADD COLUMN     "counters" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN     "source_segments" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "source_segments_ms" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "transcoded_segments" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "transcoded_segments_ms" BIGINT NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "participant" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "room_id" UUID NOT NULL,
    "session_id" UUID,
    "media_id" TEXT NOT NULL,
    "kind" "ParticipantKind" NOT NULL,
    "identity" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "tracks" JSONB NOT NULL DEFAULT '[]',
    "is_healthy" BOOLEAN,
    "issues" TEXT[],
    "joined_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "published_at" TIMESTAMPTZ(3),
    "left_at" TIMESTAMPTZ(3),
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "participant_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "render" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "url" TEXT,
    "stream_id" TEXT,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "render_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "job_target" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "url" TEXT NOT NULL,
    "state" "TargetState" NOT NULL DEFAULT 'CONNECTING',
    "message" TEXT,
    "bytes_sent" BIGINT NOT NULL DEFAULT 0,
    "state_since" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "job_target_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "participant_media_id_key" ON "participant"("media_id");

-- CreateIndex
CREATE INDEX "participant_room_id_left_at_idx" ON "participant"("room_id", "left_at");

-- CreateIndex
CREATE INDEX "participant_room_id_identity_idx" ON "participant"("room_id", "identity");

-- CreateIndex
CREATE INDEX "participant_session_id_idx" ON "participant"("session_id");

-- CreateIndex
CREATE INDEX "render_project_id_id_idx" ON "render"("project_id", "id" DESC);

-- CreateIndex
CREATE INDEX "job_target_job_id_idx" ON "job_target"("job_id");

-- CreateIndex
CREATE INDEX "participant_left_at_idx" ON "participant"("left_at");

-- CreateIndex
CREATE INDEX "session_project_id_last_seen_at_idx" ON "session"("project_id", "last_seen_at" DESC);

-- CreateIndex
CREATE INDEX "session_ended_at_idx" ON "session"("ended_at");

-- CreateIndex
CREATE UNIQUE INDEX "room_stream_key_key" ON "room"("stream_key");

-- CreateIndex
CREATE INDEX "room_project_id_id_idx" ON "room"("project_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "room_project_id_name_deleted_key_key" ON "room"("project_id", "name", "deleted_key");

-- CreateIndex
CREATE UNIQUE INDEX "session_playback_id_key" ON "session"("playback_id");

-- AddForeignKey
ALTER TABLE "participant" ADD CONSTRAINT "participant_room_id_fkey" FOREIGN KEY ("room_id") REFERENCES "room"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "participant" ADD CONSTRAINT "participant_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "session"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "render" ADD CONSTRAINT "render_id_fkey" FOREIGN KEY ("id") REFERENCES "job"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "job_target" ADD CONSTRAINT "job_target_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What is there already got one each; new rows bring theirs.
ALTER TABLE "room" ALTER COLUMN "stream_key" DROP DEFAULT;
ALTER TABLE "session" ALTER COLUMN "playback_id" DROP DEFAULT;
