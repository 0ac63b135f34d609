-- CreateEnum
CREATE TYPE "TaskLayout" AS ENUM ('FLAT', 'FREESTYLE');

-- CreateTable
CREATE TABLE "task" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "request_id" TEXT NOT NULL,
    "layout" "TaskLayout" NOT NULL,
    "payload" JSONB NOT NULL,
    "stop_requested_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "task_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "task_project_id_id_idx" ON "task"("project_id", "id" DESC);
CREATE INDEX "task_stop_requested_at_idx" ON "task"("stop_requested_at");

-- AddForeignKey
ALTER TABLE "task" ADD CONSTRAINT "task_id_fkey" FOREIGN KEY ("id") REFERENCES "job"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AlterTable
ALTER TABLE "job" ADD COLUMN "priority" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "machine" ADD COLUMN "is_draining" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "cpus" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN "load" DOUBLE PRECISION NOT NULL DEFAULT 0,
ADD COLUMN "memory" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN "free_memory" BIGINT NOT NULL DEFAULT 0;
