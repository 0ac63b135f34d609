/** Descriptions of DASH as packagers write them, and what ffmpeg is told of them. */
import { describe, expect, test } from 'vitest';
import { createDashLists } from '../../worker/streams/dash.js';
import { parseDash } from '../../worker/streams/mpd.js';
import { parseXml } from '../../worker/streams/xml.js';

const from = new URL('https://cdn.example/live/all.mpd?token=1');
const beganMs = Date.parse('2030-01-01T00:00:00Z');

const video = (segments: string, more = '') =>
  `<AdaptationSet mimeType="video/mp4">${more}<Representation id="low" bandwidth="100"/><Representation id="high" bandwidth="900">${segments}</Representation></AdaptationSet>`;
const live = (sets: string, start = 'PT0S') =>
  `<?xml version="1.0"?><!-- a packager --><MPD type="dynamic" availabilityStartTime="2030-01-01T00:00:00Z"><Period id="p1" start="${start}">${sets}</Period></MPD>`;
const template = (attributes: string, inner = '') =>
  `<SegmentTemplate initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/$Number%05d$.m4s" ${attributes}>${inner}</SegmentTemplate>`;

const names = (text: string, nowMs = beganMs) =>
  parseDash(text, from, nowMs).tracks.map(({ segments }) => segments.map(({ url }) => url.pathname));

describe('knows which segments there are', () => {
  test('by a timeline', () => {
    const timeline = template(
      'timescale="1000" startNumber="7"',
      '<SegmentTimeline><S t="5000" d="2000" r="1"/><S d="1500"/></SegmentTimeline>',
    );
    const [track] = parseDash(live(video(timeline)), from, beganMs).tracks;
    expect(track?.init?.href).toBe('https://cdn.example/live/high/init.mp4');
    expect(track?.segments).toMatchObject([
      { start: 5, duration: 2, url: { pathname: '/live/high/00007.m4s' } },
      { start: 7, duration: 2, url: { pathname: '/live/high/00008.m4s' } },
      { start: 9, duration: 1.5, url: { pathname: '/live/high/00009.m4s' } },
    ]);
  });

  test('by a timeline that repeats until now', () => {
    const timeline = template('timescale="1000"', '<SegmentTimeline><S t="0" d="2000" r="-1"/></SegmentTimeline>');
    expect(names(live(video(timeline)), beganMs + 7_000)[0]).toEqual([
      '/live/high/00001.m4s',
      '/live/high/00002.m4s',
      '/live/high/00003.m4s',
    ]);
  });

  test('by the clock, of those that are whole', () => {
    const counted = template('timescale="1" duration="4" startNumber="10"');
    expect(names(live(video(counted), 'PT60S'), beganMs + 60_000 + 9_000)[0]).toEqual([
      '/live/high/00010.m4s',
      '/live/high/00011.m4s',
    ]);
    // Of a long one, the newest 20 s.
    expect(names(live(video(counted)), beganMs + 3_600_000)[0]).toHaveLength(5);
  });

  test('by a list', () => {
    const list =
      '<SegmentList duration="2"><Initialization sourceURL="i.mp4"/><SegmentURL media="a.m4s"/><SegmentURL media="b.m4s"/></SegmentList>';
    expect(names(live(video(list)))[0]).toEqual(['/live/a.m4s', '/live/b.m4s']);
  });

  test('below the addresses that are given on the way', () => {
    const text = live(
      `<BaseURL>https://other.example/x/</BaseURL>${video(template('duration="2"'), '<BaseURL>video/</BaseURL>')}`,
    );
    const [track] = parseDash(text, from, beganMs + 9_000).tracks;
    expect(track?.segments[0]?.url.href).toBe('https://other.example/x/video/high/00001.m4s');
  });

  test('of the last period of a live one', () => {
    const first = live(video(template('duration="2"')));
    const text = first.replace(
      '</Period>',
      `</Period><Period id="p2" start="PT100S">${video(template('duration="2"'))}</Period>`,
    );
    expect(parseDash(text, from, beganMs + 108_000)).toMatchObject({ period: 'p2', isLive: true });
  });
});

describe('refuses', () => {
  test.each([
    ['what is no XML', 'live', /no XML/],
    ['another document', '<html/>', /no description of DASH/],
    ['one that ends early', '<MPD><Period>', /ends too early/],
    ['what is encrypted', live(video(template('duration="2"'), '<ContentProtection/>')), /encrypted/],
    ['one without media', live(''), /no segments/],
    ['entities of its own', '<!DOCTYPE MPD [<!ENTITY a "b">]><MPD/>', /no XML/],
    [
      'a file',
      live(video('<SegmentList duration="2"><SegmentURL media="file:///etc/passwd"/></SegmentList>')),
      /no http/,
    ],
    ['endless nesting', '<MPD>'.repeat(100), /nested too deeply/],
  ])('%s', (_name, text, message) => {
    expect(() => parseDash(text, from, beganMs + 60_000)).toThrow(message);
  });
});

test('reads text, attributes in both quotes, and the entities of XML', () => {
  const { attributes, text } = parseXml(`<a b='1 &lt; 2' x:c="&#x41;&#66;">x &amp; <![CDATA[<y>]]></a>`);
  expect({ attributes, text }).toEqual({ attributes: { b: '1 < 2', 'x:c': 'AB' }, text: 'x & <y>' });
});

test('tells ffmpeg of them as lists, in which each segment keeps its number', async () => {
  const sets = (first: number) => {
    const timeline = template('', `<SegmentTimeline><S t="${first}" d="2" r="2"/></SegmentTimeline>`).replace(
      '$Number%05d$',
      '$Time$',
    );
    return `${video(timeline)}<AdaptationSet contentType="audio"><Representation id="s" bandwidth="50">${timeline}</Representation></AdaptationSet>`;
  };
  let now = 0;
  const lists = createDashLists(async () => ({ text: live(sets(now)), url: from, atMs: beganMs }), 'anna:pw@');
  expect(await lists('/all.m3u8')).toBe(
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="sound",DEFAULT=YES,AUTOSELECT=YES,URI="audio.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=950,AUDIO="sound"\nvideo.m3u8\n',
  );
  const first = await lists('/video.m3u8');
  expect(first).toContain('#EXT-X-MEDIA-SEQUENCE:0\n');
  // By the name of the front, which does the TLS, and with what opens it.
  expect(first).toContain('#EXT-X-MAP:URI="http://anna:pw@cdn.example.443.tls.invalid/live/high/init.mp4"');
  expect(first).not.toContain('ENDLIST');
  now = 4;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await lists('/video.m3u8')).toContain('#EXT-X-MEDIA-SEQUENCE:2\n');
  expect(await lists('/audio.m3u8')).toContain('/live/s/4.m4s');
  expect(await lists('/other')).toBeNull();
});
