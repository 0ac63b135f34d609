-- AlterTable
ALTER TABLE "recording" ADD COLUMN "callback_url" TEXT;

-- CreateIndex
CREATE INDEX "file_removed_at_deleted_at_idx" ON "file"("removed_at", "deleted_at");
