-- AlterTable
ALTER TABLE "recording" ADD COLUMN "callback_url" TEXT;
