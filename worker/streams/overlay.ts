/** Puts what is laid over the picture where ffmpeg reads it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Overlay } from '../../src/recordings/config.js';
import { overlayFiles } from './filters.js';

/** Before each encoder is started in `folder`. */
export function writeOverlay(folder: string, overlay: Overlay | null): void {
  if (overlay?.content.kind === 'TEXT') writeFileSync(join(folder, overlayFiles.text), overlay.content.text);
  if (overlay?.content.kind === 'IMAGE')
    writeFileSync(join(folder, overlayFiles.image), Buffer.from(overlay.content.image, 'base64'));
}
