-- CreateEnum
CREATE TYPE "WebhookState" AS ENUM ('PENDING', 'DELIVERED', 'FAILED');

-- AlterTable
ALTER TABLE "installation" ADD COLUMN     "storage_id" TEXT;

-- AlterTable
ALTER TABLE "job" ADD COLUMN     "autostart" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN     "begun_at" TIMESTAMPTZ(3),
ADD COLUMN     "callback_url" TEXT,
ADD COLUMN     "expected_bytes" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "file_version" INTEGER NOT NULL DEFAULT 1,
ADD COLUMN     "launch_at" TIMESTAMPTZ(3),
ADD COLUMN     "parts_removed_at" TIMESTAMPTZ(3),
ADD COLUMN     "paused_ms" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "machine" ADD COLUMN     "free_bytes" BIGINT;

-- AlterTable
ALTER TABLE "part" ADD COLUMN     "incomplete" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "machine_id" TEXT;

-- CreateTable
CREATE TABLE "job_warning" (
    "job_id" UUID NOT NULL,
    "code" TEXT NOT NULL,
    "raised_at" TIMESTAMPTZ(3) NOT NULL,
    "project_id" UUID NOT NULL,
    "message" TEXT NOT NULL,
    "cleared_at" TIMESTAMPTZ(3),

    CONSTRAINT "job_warning_pkey" PRIMARY KEY ("job_id","code","raised_at")
);

-- CreateTable
CREATE TABLE "webhook_secret" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "secret" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_secret_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_delivery" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "sequence" INTEGER NOT NULL,
    "url" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "state" "WebhookState" NOT NULL DEFAULT 'PENDING',
    "attempt_count" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_delivery_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_attempt" (
    "id" UUID NOT NULL,
    "delivery_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "duration_ms" INTEGER NOT NULL,
    "response_status" INTEGER,
    "detail" TEXT,

    CONSTRAINT "webhook_attempt_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "webhook_secret_project_id_created_at_idx" ON "webhook_secret"("project_id", "created_at");

-- CreateIndex
CREATE INDEX "webhook_delivery_state_job_id_idx" ON "webhook_delivery"("state", "job_id");

-- CreateIndex
CREATE INDEX "webhook_delivery_project_id_id_idx" ON "webhook_delivery"("project_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "webhook_delivery_job_id_sequence_key" ON "webhook_delivery"("job_id", "sequence");

-- CreateIndex
CREATE INDEX "webhook_attempt_delivery_id_at_idx" ON "webhook_attempt"("delivery_id", "at");

-- AddForeignKey
ALTER TABLE "job_warning" ADD CONSTRAINT "job_warning_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_secret" ADD CONSTRAINT "webhook_secret_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_delivery" ADD CONSTRAINT "webhook_delivery_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_delivery" ADD CONSTRAINT "webhook_delivery_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_attempt" ADD CONSTRAINT "webhook_attempt_delivery_id_fkey" FOREIGN KEY ("delivery_id") REFERENCES "webhook_delivery"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
