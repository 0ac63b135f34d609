-- AlterTable
ALTER TABLE "participant" ADD COLUMN     "removed_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "participant_room_id_identity_idx" ON "participant"("room_id", "identity");
