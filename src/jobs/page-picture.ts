/** How a page is captured where its client does not say. */
import type { PictureEncoding } from './capture.js';

/** Pixels, and frames per second. */
export const usualPage = { width: 1_280, height: 720, fps: 30 };

/** Bits per second at most, with what is given otherwise than usual. */
export const encodingAt = (
  bitrate: number,
  { quality, gop }: Partial<Record<'quality' | 'gop', number | null>> = {},
): PictureEncoding => ({ quality: quality ?? 23, bitrate, gop: gop ?? 2, profile: 'high' });
