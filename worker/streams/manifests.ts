/** Playlists of HLS on their way to ffmpeg: all they name that is elsewhere is to be asked for through the front. */
import { throughFront } from './front-names.js';

/** It names what may not be reached. `message` says what. */
export class ManifestRefusedError extends Error {
  override readonly name = 'ManifestRefusedError';
}

/** By its first bytes: neither its name nor what its server says of it is to be relied on. */
export const isPlaylist = (head: Buffer): boolean => /^(\u00ef\u00bb\u00bf)?\s*#EXTM3U/.test(head.toString('latin1'));

/** Whether more bytes could make a playlist of it. */
export const mayBePlaylist = (head: Buffer): boolean =>
  /^[\s\u00ef\u00bb\u00bf]*(#?E?X?T?M?3?U?)$/.test(head.toString('latin1'));

/** Lines with a URI that ffmpeg follows. */
const followed = /^#EXT-X-(KEY|MAP|MEDIA|I-FRAME-STREAM-INF):/;

/** `base`: where it is from, in its server's own name. Throws ManifestRefusedError. */
export function rewritePlaylist(text: string, base: URL): string {
  const lines = text.split(/\r?\n/).map((line) => {
    if (!line.startsWith('#')) return reached(line, base);
    if (!followed.test(line)) return line;
    return line.replace(/\bURI="([^"]*)"/g, (_, uri: string) => `URI="${reached(uri, base)}"`);
  });
  return lines.join('\n');
}

/** What names no server is left as it is: it is on the one that it came from. */
function reached(text: string, base: URL): string {
  const given = text.trim();
  const absolute = given.startsWith('//') ? base.protocol + given : given;
  if (!/^[a-z][a-z0-9+.-]*:/i.test(absolute)) return text;
  const through = /^https?:\/\/[^/]/i.test(absolute) && URL.canParse(absolute) ? throughFront(new URL(absolute)) : null;
  if (through === null) throw new ManifestRefusedError(`"${given.slice(0, 100)}", which is no http or https URL`);
  return through;
}
