/** How ffmpeg is to read HLS: newer versions are picky about the names of segments, with options to be less so that others do not know. */
import { runTool } from '../ffmpeg/run.js';

/** Segments may be called anything: where they may come from is the business of the gate, and what they may be is told anyway. */
const lenient: [option: string, value: string][] = [
  ['allowed_extensions', 'ALL'],
  ['allowed_segment_extensions', 'ALL'],
  ['extension_picky', '0'],
];
/** What ffmpeg may open of what a playlist names, and how. TLS is the business of the front. */
const allowed = [
  ...['-protocol_whitelist', 'http,tcp,crypto'],
  ...['-format_whitelist', 'hls,mpegts,aac,mp3,ac3,eac3,mov,webvtt', '-f', 'hls'],
];
const helpLimitMs = 10_000;

const known = new Map<string, Promise<string[]>>();

/** Asks the program once. */
export function hlsOptions(ffmpeg: string): Promise<string[]> {
  const found = known.get(ffmpeg) ?? ask(ffmpeg);
  known.set(ffmpeg, found);
  return found;
}

async function ask(ffmpeg: string): Promise<string[]> {
  const options = new Set<string>();
  const onLine = (line: string) => void options.add(/^\s+-(\w+)\s/.exec(line)?.[1] ?? '');
  await runTool(ffmpeg, ['-v', 'quiet', '-h', 'demuxer=hls'], { timeLimitMs: helpLimitMs, onLine });
  return [...allowed, ...lenient.flatMap(([name, value]) => (options.has(name) ? [`-${name}`, value] : []))];
}
