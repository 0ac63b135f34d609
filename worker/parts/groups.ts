/** Which parts may be in one file: a header can announce only one of each thing. */

import type { MeasuredPart } from './measure.js';
import { carriesSets, lengthBytes } from './parameter-sets.js';
import type { Kind } from './part-file.js';

/** By what their decoders must know, in the order of the first part of each group. */
export function groupParts<T extends { part: MeasuredPart }>(parts: readonly T[]): T[][] {
  const groups = new Map<string, T[]>();
  for (const each of parts) {
    const key = parametersOf(each.part);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()];
}

/** What comes again with the pictures, or says only how they were encoded, need not be the same. */
const selfContained = ['mpeg1video', 'mpeg2video', 'av1', 'flac'];

function parametersOf({ facts: { video, audio }, tracks }: MeasuredPart): string {
  const setupOf = (kind: Kind, codec: string) => {
    const setup = tracks.find((track) => track.kind === kind)?.setup;
    if (!setup || selfContained.includes(codec)) return null;
    return carriesSets(codec) ? lengthBytes(codec, setup) : setup.toString('base64');
  };
  const picture = video && [video.codec, video.profile, video.width, video.height, video.pixelFormat];
  const sound = audio && [audio.codec, audio.sampleRate, audio.channels];
  return JSON.stringify([
    picture && [...picture, setupOf('video', picture[0] as string)],
    sound && [...sound, setupOf('audio', sound[0] as string)],
  ]);
}
