/** Which track files of people belong together: those of one visitor after another, of a camera or of a screen. */
import type { RecordedTrack } from './recorded.js';

/** A picture and the sound that goes with it, or one of both, in a track file. */
export interface Take {
  track: RecordedTrack;
  /** Which of the pictures of the file, from 0; null: none is taken. */
  picture: number | null;
  hasSound: boolean;
  /** As the participant sent it; null: it has none. */
  codecs: { picture: string | null; sound: string | null };
}

/** What becomes the files of one user. */
export interface TakeSet {
  /** The identity; of a screen that is shared besides a camera, and of a second visit at the same time, with more behind it. */
  user: string;
  takes: Take[];
}

/** In order of their first media. What several pictures at once are of is told apart; sound goes with the first. */
export function takeSets(tracks: readonly RecordedTrack[]): TakeSet[] {
  const sets = new Map<string, TakeSet>();
  const lanes = new Map<string, { mediaId: string | null; incarnation: number; endMs: number }[]>();
  for (const track of [...tracks].sort((a, b) => startOf(a) - startOf(b))) {
    const { origin } = track;
    const identity = origin?.identity ?? 'unknown';
    const lane = laneOf(lanes, identity, track);
    const visitor = lane === 0 ? identity : `${identity}-${lane + 1}`;
    for (const { label, ...take } of takesOf(track)) {
      const user = label ? `${visitor}-${label}` : visitor;
      const set = sets.get(user) ?? { user, takes: [] };
      set.takes.push(take);
      sets.set(user, set);
    }
  }
  return [...sets.values()];
}

const startOf = ({ zeroAt, lastWrittenAt }: RecordedTrack): number => zeroAt ?? lastWrittenAt;

/** Two visits of one identity may go on at once; what another recorder has recorded again is one visit. */
function laneOf(
  lanes: Map<string, { mediaId: string | null; incarnation: number; endMs: number }[]>,
  identity: string,
  track: RecordedTrack,
): number {
  const known = lanes.get(identity) ?? [];
  lanes.set(identity, known);
  const mediaId = track.origin?.id ?? null;
  const free = known.findIndex(
    (lane) => lane.mediaId === mediaId || lane.incarnation !== track.incarnation || lane.endMs <= startOf(track),
  );
  const lane = { mediaId, incarnation: track.incarnation, endMs: track.lastWrittenAt };
  if (free === -1) return known.push(lane) - 1;
  known[free] = lane;
  return free;
}

function takesOf(track: RecordedTrack): (Take & { label: string | null })[] {
  const tracks = track.origin?.tracks ?? [];
  const pictures = tracks.filter(({ kind }) => kind === 'VIDEO');
  const sound = tracks.find(({ kind }) => kind === 'AUDIO')?.codec ?? null;
  // Of a file of which nothing is known, everything is taken.
  if (!track.origin) {
    const codecs = { picture: null, sound: null };
    return [{ track, picture: 0, hasSound: true, codecs, label: null }];
  }
  const [first, ...others] = pictures;
  return [
    {
      ...{ track, picture: first ? 0 : null, hasSound: sound !== null, label: null },
      codecs: { picture: first?.codec ?? null, sound },
    },
    ...others.map(({ codec, source }, index) => ({
      ...{ track, picture: index + 1, hasSound: false, codecs: { picture: codec, sound: null } },
      label: source === 'screen' || source === null ? `screen${index === 0 ? '' : index + 1}` : source,
    })),
  ];
}
