/** What there is to show of the people in a room: a picture of each, and each shared screen. Knows nothing of browsers. */
import type { Participant } from './room-client.js';

export interface Figure {
  key: string;
  mediaId: string;
  name: string;
  screen: boolean;
  /** Null for who is only heard. */
  video: MediaStreamTrack | null;
}

export interface Voice {
  mediaId: string;
  /** The figure that is highlighted with it; the screen of who shows nothing else. */
  figure: string;
  track: MediaStreamTrack;
}

export interface Scene {
  figures: Figure[];
  voices: Voice[];
}

/** Everybody has one figure, and one more for each screen they share; who shares a screen alone has no other. */
export function sceneOf(participants: readonly Participant[]): Scene {
  const scene: Scene = { figures: [], voices: [] };
  for (const { mediaId, name, tracks } of participants) {
    if (tracks.length === 0) continue;
    const live = tracks.filter(({ muted }) => !muted);
    const screens = live.filter(({ kind, source }) => kind === 'video' && source === 'screen');
    const camera = live.find(({ kind, source }) => kind === 'video' && source !== 'screen');
    const isPerson = tracks.some(({ source }) => source !== 'screen');
    if (isPerson) scene.figures.push({ key: mediaId, mediaId, name, screen: false, video: camera?.track ?? null });
    for (const { mid, track } of screens)
      scene.figures.push({ key: `${mediaId} ${mid}`, mediaId, name, screen: true, video: track });
    const figure = isPerson ? mediaId : `${mediaId} ${screens[0]?.mid}`;
    for (const { kind, track } of live) if (kind === 'audio' && track) scene.voices.push({ mediaId, figure, track });
  }
  return scene;
}

/** Up to two letters for who has no picture. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...(word as string)][0]?.toLocaleUpperCase() ?? '').join('');
}

/** The same name has the same colour everywhere: degrees on the colour wheel. */
export function hueOf(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) as number)) % 360;
  return hash;
}
