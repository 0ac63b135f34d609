/** Playlists of HLS and descriptions of DASH on their way to ffmpeg: all they name that is elsewhere is to be asked for through the front. */
import { throughFront } from './front-names.js';

/** Larger ones are of many hours; a live one has some kilobytes. */
export const longestManifestBytes = 4 * 1_048_576;
/** As many bytes tell what a text is. */
export const tellingBytes = 512;

/** It names what may not be reached. `message` says what. */
export class ManifestRefusedError extends Error {
  override readonly name = 'ManifestRefusedError';
}

export type ManifestKind = 'hls' | 'dash';

/** By its first bytes: neither its name nor what its server says of it is to be relied on. */
export function manifestKind(head: Buffer): ManifestKind | null {
  const text = head
    .toString('latin1')
    .replace(/^\u00ef\u00bb\u00bf/, '')
    .trimStart();
  if (text.startsWith('#EXTM3U')) return 'hls';
  return /^<\?xml|^<MPD|^<!/i.test(text) ? 'dash' : null;
}

/** `base`: where it is from, in its server's own name. Throws ManifestRefusedError. */
export const rewriteManifest = (kind: ManifestKind, text: string, base: URL): string =>
  kind === 'hls' ? rewritePlaylist(text, base) : rewriteDescription(text, base);

/** Lines with a URI that ffmpeg follows. */
const followed = /^#EXT-X-(KEY|MAP|MEDIA|I-FRAME-STREAM-INF):/;

function rewritePlaylist(text: string, base: URL): string {
  const lines = text.split(/\r?\n/).map((line) => {
    if (!line.startsWith('#')) return reached(line, base);
    if (!followed.test(line)) return line;
    return line.replace(/\bURI="([^"]*)"/g, (_, uri: string) => `URI="${reached(uri, base)}"`);
  });
  return lines.join('\n');
}

const places =
  /(<BaseURL\b[^>]*>\s*)([^<]*)|(\b(?:media|initialization|sourceURL|index|href)\s*=\s*)("[^"]*"|'[^']*')/g;

function rewriteDescription(text: string, base: URL): string {
  if (/<!(DOCTYPE|ENTITY)/i.test(text))
    throw new ManifestRefusedError('a description of DASH that has entities of its own');
  // In XML an ampersand is written in full.
  const entity = (value: string) => reached(value.replaceAll('&amp;', '&'), base).replaceAll('&', '&amp;');
  return text.replace(places, (_, open: string, content: string, name: string, quoted: string) => {
    if (open !== undefined) return open + entity(content);
    return `${name}${quoted[0]}${entity(quoted.slice(1, -1))}${quoted[0]}`;
  });
}

/** What names no server is left as it is: it is on the one that it came from. */
function reached(text: string, base: URL): string {
  const given = text.trim();
  const absolute = given.startsWith('//') ? base.protocol + given : given;
  if (!/^[a-z][a-z0-9+.-]*:/i.test(absolute)) return text;
  const through = URL.canParse(absolute) ? throughFront(new URL(absolute)) : null;
  if (through === null || !/^https?:\/\/[^/]/i.test(absolute))
    throw new ManifestRefusedError(`"${given.slice(0, 100)}", which is no http or https URL`);
  // The parser escapes what patterns are made of, such as $Number%05d$: only the server's name is taken from it.
  const [server = ''] = /^http:\/\/[^/?#]+/.exec(through) ?? [];
  return server + absolute.replace(/^https?:\/\/[^/?#]+/i, '');
}
