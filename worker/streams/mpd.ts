/** Reads descriptions of DASH: which segments of which tracks there are at a time. One period is read: the last of a live one. */
import { ManifestRefusedError } from './manifests.js';
import { childOf, childrenOf, parseXml, type XmlElement } from './xml.js';

export interface DashSegment {
  url: URL;
  /** Seconds on the track's own time, by which it is known again. */
  start: number;
  duration: number;
}

export interface DashTrack {
  kind: 'VIDEO' | 'AUDIO';
  /** Bits per second. */
  bandwidth: number;
  /** What each segment needs before it; null: nothing. */
  init: URL | null;
  segments: DashSegment[];
}

export interface Dash {
  isLive: boolean;
  /** Names the period: another one has other tracks. */
  period: string;
  /** One of each kind at most: the best. */
  tracks: DashTrack[];
}

/** Of a live one that counts its segments by the clock, as many as are listed. */
const listedSeconds = 20;
const mostSegments = 5_000;

/** `from`: where it was found; `nowMs`: the time of its server. Throws an Error with words for people. */
export function parseDash(text: string, from: URL, nowMs: number): Dash {
  const mpd = parseXml(text);
  if (mpd.name !== 'MPD') throw new Error(`It is no description of DASH: it begins with "${mpd.name.slice(0, 40)}".`);
  const isLive = mpd.attributes.type === 'dynamic';
  const periods = childrenOf(mpd, 'Period');
  const period = isLive ? periods.at(-1) : periods[0];
  if (!period) throw new Error('The description of DASH has no period.');
  const base = baseOf(period, baseOf(mpd, from));
  const startS = seconds(period.attributes.start) ?? 0;
  const clock: Clock = {
    isLive,
    sinceStartS: (nowMs - Date.parse(mpd.attributes.availabilityStartTime ?? '')) / 1_000 - startS,
    lengthS: seconds(period.attributes.duration) ?? seconds(mpd.attributes.mediaPresentationDuration),
  };
  const found: DashTrack[] = [];
  for (const set of childrenOf(period, 'AdaptationSet')) {
    for (const one of childrenOf(set, 'Representation')) {
      const kind = kindOf(set, one);
      if (kind) found.push(trackOf(kind, [period, set, one], base, clock));
    }
  }
  const tracks = (['VIDEO', 'AUDIO'] as const).flatMap((kind) => {
    const those = found.filter((track) => track.kind === kind && track.segments.length > 0);
    return those.sort((a, b) => b.bandwidth - a.bandwidth).slice(0, 1);
  });
  if (tracks.length === 0) throw new Error('The description of DASH has no segments of pictures or sound.');
  return { isLive, period: period.attributes.id ?? period.attributes.start ?? '', tracks };
}

interface Clock {
  isLive: boolean;
  /** Of the server, since the period began. */
  sinceStartS: number;
  lengthS: number | null;
}

function trackOf(kind: DashTrack['kind'], path: XmlElement[], from: URL, clock: Clock): DashTrack {
  const [, set, one] = path as [XmlElement, XmlElement, XmlElement];
  if (childOf(set, 'ContentProtection') || childOf(one, 'ContentProtection'))
    throw new Error('The source is encrypted (DRM).');
  const base = baseOf(one, baseOf(set, from));
  const bandwidth = Number(one.attributes.bandwidth ?? 0) || 0;
  const template = merged(path, 'SegmentTemplate');
  if (template) {
    const fill = filler(one, base);
    const { initialization, media } = template.attributes;
    if (media === undefined) throw new Error('A segment template of DASH has no address.');
    const init = initialization === undefined ? null : fill(initialization, 0, 0);
    const segments = template.timeline
      ? timedSegments(template, media, fill, clock)
      : countedSegments(template, media, fill, clock);
    return { kind, bandwidth, init, segments };
  }
  const list = merged(path, 'SegmentList');
  if (list) return { kind, bandwidth, ...listedSegments(list, base) };
  // The whole track is one file.
  const duration = clock.lengthS ?? 0;
  return { kind, bandwidth, init: null, segments: clock.isLive ? [] : [{ url: base, start: 0, duration }] };
}

interface SegmentInfo {
  attributes: Record<string, string>;
  timeline: XmlElement | null;
  elements: XmlElement[];
}

/** What is said of segments further in goes before what is said around it. */
function merged(path: readonly XmlElement[], name: string): SegmentInfo | null {
  const found = path.flatMap((element) => childOf(element, name) ?? []);
  if (found.length === 0) return null;
  return {
    attributes: Object.assign({}, ...found.map(({ attributes }) => attributes)),
    timeline: found.map((each) => childOf(each, 'SegmentTimeline')).findLast((each) => each !== null) ?? null,
    elements: found,
  };
}

type Fill = (pattern: string, number: number, time: number) => URL;

function filler({ attributes }: XmlElement, base: URL): Fill {
  return (pattern, number, time) => {
    const values: Record<string, string> = {
      RepresentationID: attributes.id ?? '',
      Bandwidth: attributes.bandwidth ?? '',
      Number: `${number}`,
      Time: `${time}`,
    };
    const filled = pattern.replace(
      /\$(?:(RepresentationID|Bandwidth|Number|Time)(?:%0(\d{1,2})d)?)?\$/g,
      (_, name, width) => (name === undefined ? '$' : (values[name] as string).padStart(Number(width ?? 1), '0')),
    );
    return placed(filled, base);
  };
}

function timedSegments({ attributes, timeline }: SegmentInfo, media: string, fill: Fill, clock: Clock): DashSegment[] {
  const scale = Number(attributes.timescale ?? 1) || 1;
  let number = Number(attributes.startNumber ?? 1);
  let time = 0;
  const segments: DashSegment[] = [];
  const entries = childrenOf(timeline as XmlElement, 'S');
  for (const [index, { attributes: entry }] of entries.entries()) {
    if (entry.t !== undefined) time = Number(entry.t);
    const duration = Number(entry.d);
    if (!(duration > 0)) throw new Error('A segment of DASH has no length.');
    let repeats = Number(entry.r ?? 0);
    if (repeats < 0) {
      const next = entries[index + 1]?.attributes.t;
      const end = next === undefined ? (clock.lengthS ?? clock.sinceStartS) * scale : Number(next);
      repeats = Math.max(0, Math.floor((end - time) / duration) - 1);
    }
    for (let count = 0; count <= repeats; count++) {
      if (segments.length >= mostSegments) segments.shift();
      segments.push({ url: fill(media, number, time), start: time / scale, duration: duration / scale });
      number += 1;
      time += duration;
    }
  }
  return segments;
}

function countedSegments({ attributes }: SegmentInfo, media: string, fill: Fill, clock: Clock): DashSegment[] {
  const duration = Number(attributes.duration) / (Number(attributes.timescale ?? 1) || 1);
  if (!(duration > 0)) throw new Error('A segment template of DASH has no duration.');
  const first = Number(attributes.startNumber ?? 1);
  const early = attributes.availabilityTimeOffset === undefined ? 0 : Number(attributes.availabilityTimeOffset);
  // One can be had when it is whole.
  const there = clock.isLive
    ? Math.floor((clock.sinceStartS + (Number.isFinite(early) ? early : 0)) / duration)
    : Math.ceil((clock.lengthS ?? 0) / duration);
  const listed = Math.min(mostSegments, clock.isLive ? Math.max(3, Math.ceil(listedSeconds / duration)) : there);
  const from = Math.max(0, there - listed);
  return Array.from({ length: Math.max(0, there - from) }, (_, at) => {
    const index = from + at;
    const scale = Number(attributes.timescale ?? 1) || 1;
    return { url: fill(media, first + index, Math.round(index * duration * scale)), start: index * duration, duration };
  });
}

function listedSegments({ attributes, elements }: SegmentInfo, base: URL): Pick<DashTrack, 'init' | 'segments'> {
  const duration = Number(attributes.duration) / (Number(attributes.timescale ?? 1) || 1);
  const first = Number(attributes.startNumber ?? 1);
  const list = elements.at(-1) as XmlElement;
  const source = childOf(list, 'Initialization')?.attributes.sourceURL;
  const segments = childrenOf(list, 'SegmentURL').map(({ attributes: { media = '', mediaRange } }, index) => {
    if (mediaRange !== undefined) throw new Error('Segments of DASH that are ranges of a file are not read.');
    return { url: placed(media, base), start: (first + index) * duration, duration };
  });
  return { init: source === undefined ? null : placed(source, base), segments };
}

function kindOf(set: XmlElement, one: XmlElement): DashTrack['kind'] | null {
  const said = set.attributes.contentType ?? one.attributes.mimeType ?? set.attributes.mimeType ?? '';
  if (said.startsWith('video')) return 'VIDEO';
  return said.startsWith('audio') ? 'AUDIO' : null;
}

const baseOf = (element: XmlElement, from: URL): URL => {
  const given = childOf(element, 'BaseURL')?.text.trim();
  return given ? placed(given, from) : from;
};

function placed(text: string, base: URL): URL {
  const url = URL.canParse(text, base.href) ? new URL(text, base) : null;
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new ManifestRefusedError(`"${text.slice(0, 100)}", which is no http or https URL`);
}

/** Of a duration such as `PT1H2M3.5S`; null for what is none. */
function seconds(text: string | undefined): number | null {
  const found = /^P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(
    text ?? '',
  );
  if (!found) return null;
  const [days, hours, minutes, rest] = found.slice(1).map((each) => Number(each ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return ((days * 24 + hours) * 60 + minutes) * 60 + rest;
}
