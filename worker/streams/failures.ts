/** What the last words of ffmpeg, and of what stands in front of it, say of an input that could not be recorded. */
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import { type InputType, isListening } from '../../src/recordings/config.js';
import { withoutFrontNames } from './front-names.js';

const shownLines = 3;
const shownChars = 600;

/** Why no media came, by everything that was logged until now. */
export function classify(log: string, type: InputType): JobFailure {
  const last = lastWords(log);
  if (portInUse.test(log)) return failure('PORT_IN_USE', last);
  const refusal = gateRefusal(log) ?? srtRefusal(log) ?? loginRefusal(log) ?? publisherRefusal(log);
  if (refusal) return refusal;
  // It may be there in a moment, so this is no refusal that lasts.
  if (/REJECT reported/.test(log))
    return failure(
      'SOURCE_REFUSED',
      'The SRT server rejected the connection. Check the stream id, and that it is live.',
    );
  const [, unmatched] = /Stream (?:map|specifier) '?[^\n]*0:(v|a)[^\n]*matches no streams/.exec(log) ?? [];
  if (unmatched === 'v') return failure('SOURCE_WITHOUT_VIDEO');
  if (unmatched === 'a') return failure('SOURCE_WITHOUT_AUDIO');
  if (silent.test(log)) return failure('SOURCE_UNREACHABLE', last);
  if (unreadable.test(log)) return failure('SOURCE_UNREADABLE', last);
  if (isListening(type))
    return failure('SOURCE_UNREACHABLE', `Nobody has sent anything that can be recorded. ${last}`.trim());
  return failure('SOURCE_UNREACHABLE', last || 'It did not answer.');
}

const portInUse = /EADDRINUSE|Address already in use|srt_bind|bind failed/i;
const silent =
  /answered with status \d{3}|Server returned \d{3}|method \w+ failed: \d{3}|did not accept a connection|could not be resolved|nothing came for|did not answer|Connection refused|Connection timed out/;
const unreadable =
  /Invalid data found|no description of DASH|[Cc]ould not find codec parameters|does not contain any stream|no XML that can be read|Output file #0 does not contain|Unable to open resource|Empty playlist|max resync size reached|Unsupported RTP version|does not speak|encrypted \(DRM\)|has no segments/;

/** Of an address that recordings may not reach: a redirect, or an entry of a playlist. */
export function gateRefusal(text: string): JobFailure | null {
  const line = text.split('\n').find((each) => / was refused: /.test(each));
  return line === undefined ? null : failure('URL_REFUSED', line.slice(0, shownChars));
}

/** In SRT's own words. */
export function srtRefusal(log: string): JobFailure | null {
  if (/Incorrect passphrase|BADSECRET/.test(log))
    return failure('SOURCE_REFUSED', 'The passphrase of the other side is another one.');
  if (/Password required or unexpected|UNSECURE/.test(log))
    return failure('SOURCE_REFUSED', 'One side has a passphrase, and the other has none.');
  return null;
}

/** In the words of ffmpeg, or of the front. */
export function loginRefusal(log: string): JobFailure | null {
  if (/\b401 Unauthorized\b|HTTP error 401|with status 401/.test(log))
    return failure('SOURCE_REFUSED', 'It wants a user name and a password, or others.');
  if (/\b403 Forbidden\b|HTTP error 403|with status 403/.test(log))
    return failure('SOURCE_REFUSED', 'It does not let us in (403).');
  return null;
}

function publisherRefusal(log: string): JobFailure | null {
  const line = log.split('\n').findLast((each) => each.includes(' was sent away: '));
  return line === undefined ? null : failure('SOURCE_REFUSED', line);
}

function lastWords(log: string): string {
  const lines = withoutFrontNames(log)
    .split('\n')
    // Passwords are in the addresses that ffmpeg repeats.
    .map((line) => line.replace(/\/\/[^\s/@]*@/g, '//***@').trim())
    .filter((line) => line !== '' && !line.startsWith('ffmpeg stats'));
  return lines.slice(-shownLines).join('\n').slice(-shownChars);
}
