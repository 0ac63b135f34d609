-- AlterTable
ALTER TABLE "file" ADD COLUMN "piece" TEXT;

-- CreateIndex
CREATE UNIQUE INDEX "file_job_id_piece_version_key" ON "file"("job_id", "piece", "version");
