/** What runs in a page whose media elements are recorded one by one, in a world of its own that the page cannot reach. */

import type { TrackKind } from '../../src/media/media-server.js';

export const elementsWorld = 'tapedeck-tracks';
/** The function by which the script tells the host, one JSON text at a time. */
export const elementsBinding = 'tapedeckTell';
/** Elements recorded at once: each is encoded by the browser, at about a third of a core. */
export const mostElements = 16;

/** What an element is, in the page's own words: to be cut and cleaned before it is shown. */
export interface ToldElement {
  id: string;
  name: string;
  tracks: { kind: 'AUDIO' | 'VIDEO'; codec: string }[];
}

/** `key` tells recordings of one document apart. `at`: epoch milliseconds. */
export type ElementMessage =
  | { type: 'begin'; key: number; at: number; element: ToldElement }
  | { type: 'data'; key: number; base64: string }
  | { type: 'end'; key: number; cause: 'LEFT' | 'CHANGED' | 'ASKED' }
  | { type: 'refused'; element: ToldElement; reason: string };

/** The expression that has a document's elements recorded, or not. */
export const setWanted = (isWanted: boolean): string => `globalThis.tapedeckTracks?.set(${isWanted})`;

/** Of other kinds nothing is recorded. */
export const elementScript = (kinds: readonly TrackKind[]): string => `(() => {
  const wantedKinds = ${JSON.stringify(kinds.map((kind) => kind.toLowerCase()))};
  const lookMs = 500, sliceMs = 500, most = ${mostElements};
  const tell = (message) => globalThis.${elementsBinding}(JSON.stringify(message));
  const recorded = new Map(), refused = new WeakMap();
  let wanted = false, keys = 0;

  function base64Of(blob) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      // The type before it may have commas in it.
      reader.onload = () => resolve(reader.result.slice(reader.result.lastIndexOf(',') + 1));
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(blob);
    });
  }

  function describe(element, tracks) {
    const kind = element.tagName.toLowerCase();
    const place = [...document.querySelectorAll(kind)].indexOf(element) + 1;
    const id = element.id || kind + '-' + place;
    return { id, name: element.getAttribute('aria-label') || element.title || id, tracks };
  }

  function refuse(element, reason) {
    if (refused.get(element) === element.currentSrc) return;
    refused.set(element, element.currentSrc);
    tell({ type: 'refused', element: describe(element, []), reason });
  }

  function begin(element) {
    let all, stream;
    try {
      all = element.captureStream();
      stream = new MediaStream(all.getTracks().filter((track) => wantedKinds.includes(track.kind)));
    } catch (error) {
      return refuse(element, error.name === 'SecurityError' ? 'The browser does not hand out media of another origin that does not allow it (CORS).' : error.message);
    }
    const kinds = new Set(stream.getTracks().map((track) => track.kind));
    if (kinds.size === 0) return;
    const types = kinds.has('video') ? ['video/x-matroska;codecs=avc1,opus', 'video/webm;codecs=vp8,opus'] : ['audio/webm;codecs=opus'];
    const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type));
    if (!mimeType) return refuse(element, 'The browser has no encoder for it.');
    const key = ++keys;
    const recorder = new MediaRecorder(stream, { mimeType });
    let cause = 'LEFT', told = Promise.resolve();
    const end = (why) => {
      if (recorder.state === 'inactive') return;
      cause = why;
      recorder.stop();
    };
    recorder.onstart = () => {
      const tracks = [];
      if (kinds.has('audio')) tracks.push({ kind: 'AUDIO', codec: 'opus' });
      if (kinds.has('video')) tracks.push({ kind: 'VIDEO', codec: mimeType.includes('avc1') ? 'h264' : 'vp8' });
      tell({ type: 'begin', key, at: performance.timeOrigin + performance.now(), element: describe(element, tracks) });
    };
    recorder.ondataavailable = ({ data }) => {
      if (data.size > 0) told = told.then(async () => tell({ type: 'data', key, base64: await base64Of(data) })).catch(() => {});
    };
    recorder.onstop = () => {
      if (recorded.get(element)?.recorder === recorder) recorded.delete(element);
      told.then(() => tell({ type: 'end', key, cause }));
    };
    const idsOf = () => all.getTracks().map((track) => track.id).sort().join(' ');
    const ids = idsOf();
    // It is told of the tracks too that are there from the beginning.
    all.onaddtrack = all.onremovetrack = () => idsOf() !== ids && end('CHANGED');
    recorder.start(sliceMs);
    recorded.set(element, { recorder, end });
  }

  function look() {
    for (const [element, { end }] of recorded) if (!element.isConnected || element.ended) end('LEFT');
    if (!wanted) return;
    for (const element of document.querySelectorAll('video, audio')) {
      if (recorded.has(element) || element.paused || element.ended || element.readyState < 2) continue;
      if (recorded.size >= most) refuse(element, 'Only ' + most + ' elements are recorded at once.');
      else if (refused.get(element) !== element.currentSrc || !element.currentSrc) begin(element);
    }
  }

  setInterval(look, lookMs);
  globalThis.tapedeckTracks = {
    set(value) {
      wanted = value;
      if (!value) for (const { end } of recorded.values()) end('ASKED');
      look();
    },
  };
})();`;
