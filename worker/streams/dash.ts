/**
 * DASH, told to ffmpeg as HLS: its own reader of live DASH repeats some seconds after each new description, and tears sound at the
 * seams of segments, while that of HLS does neither. Only addresses are translated; segments are the same.
 */
import { throughFront } from './front-names.js';
import { ManifestRefusedError } from './manifests.js';
import { type Dash, type DashTrack, parseDash } from './mpd.js';
import type { Fetched } from './upstream.js';

/** No server has this name (RFC 6761): the front answers for it. */
export const dashHost = 'dash.invalid';
export const dashList = `http://${dashHost}/all.m3u8`;

// ffmpeg asks for the list of each track on its own, and should see the same for both.
const freshMs = 400;
const versionOfLists = 7;

/** Answers the lists by their paths; null for a path that is none. `fetchIt` fetches the description anew. */
export function createDashLists(
  fetchIt: () => Promise<Fetched>,
  login: string,
): (path: string) => Promise<string | null> {
  let fetched: { dash: Dash; host: string; atMs: number } | null = null;
  let period: string | null = null;
  /** Of segments that were listed, by kind and start. */
  const numbers = { VIDEO: new Map<number, number>(), AUDIO: new Map<number, number>() };

  async function read(): Promise<Dash> {
    if (fetched && performance.now() - fetched.atMs < freshMs) return fetched.dash;
    const { text, url, atMs } = await fetchIt();
    const dash = parseDash(text, url, atMs);
    period ??= dash.period;
    if (dash.period !== period) throw new Error('Another period has begun.');
    fetched = { dash, host: url.host, atMs: performance.now() };
    return dash;
  }

  function mediaList(track: DashTrack, isLive: boolean): string {
    const longest = Math.max(1, ...track.segments.map(({ duration }) => Math.ceil(duration)));
    const numbered = numbers[track.kind];
    for (const { start } of track.segments) if (!numbered.has(start)) numbered.set(start, numbered.size);
    const lines = [
      ...['#EXTM3U', `#EXT-X-VERSION:${versionOfLists}`, `#EXT-X-TARGETDURATION:${longest}`],
      `#EXT-X-MEDIA-SEQUENCE:${numbered.get(track.segments[0]?.start ?? 0) ?? 0}`,
      ...(track.init ? [`#EXT-X-MAP:URI="${address(track.init)}"`] : []),
      ...track.segments.flatMap(({ url, duration }) => [`#EXTINF:${duration.toFixed(6)},`, address(url)]),
      ...(isLive ? [] : ['#EXT-X-ENDLIST']),
    ];
    return `${lines.join('\n')}\n`;
  }

  function address(url: URL): string {
    const withLogin = new URL(url);
    // Who may read the description may read what it describes, where both are at one place.
    if (login && url.host === fetched?.host && !url.username) withLogin.href = url.href.replace('://', `://${login}`);
    const through = throughFront(withLogin);
    if (through === null) throw new ManifestRefusedError(`"${url.href.slice(0, 100)}", which is no http or https URL`);
    return through;
  }

  return async (path) => {
    const { tracks, isLive } = await read();
    const named = { '/video.m3u8': 'VIDEO', '/audio.m3u8': 'AUDIO' } as const;
    const kind = named[path as keyof typeof named];
    const track = tracks.find((each) => each.kind === kind);
    if (track) return mediaList(track, isLive);
    if (path !== '/all.m3u8') return null;
    const [video, audio] = (['VIDEO', 'AUDIO'] as const).map((each) => tracks.find((one) => one.kind === each));
    const bandwidth = Math.max(
      1,
      tracks.reduce((sum, each) => sum + each.bandwidth, 0),
    );
    const sound = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="sound",DEFAULT=YES,AUTOSELECT=YES,URI="audio.m3u8"';
    if (video && audio)
      return `#EXTM3U\n${sound}\n#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth},AUDIO="sound"\nvideo.m3u8\n`;
    return `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth}\n${video ? 'video' : 'audio'}.m3u8\n`;
  };
}
