/** What can be played of a recording while it goes on: pieces of media, as a recorder host lists them and players get them. */

/** Of each piece, seconds: where key frames are. */
export const livePieceSeconds = 2;
/** So many pieces, half an hour, are kept: players may go back as far. */
export const livePieces = 900;
/** Of a preview: who was away for half a minute need not see what was then. */
export const previewPieces = 15;

/** Folder of an incarnation, and its listing there. */
export const liveFolder = 'live';
export const liveListName = 'list.json';
/** Name of a piece in that folder. */
export const livePieceName = /^p\d+-\d+-\d+\.ts$/;

export interface LivePiece {
  name: string;
  seconds: number;
  /** Epoch milliseconds when it was complete. */
  at: number;
  /** Its clock does not go on from the piece before: a part of the recording begins with it. */
  begins: boolean;
}

/** What one incarnation of a job wrote. */
export interface LiveList {
  /** Pieces that are not kept any more. */
  gone: number;
  pieces: LivePiece[];
}

/**
 * The media playlist of all incarnations together, in order. `uriOf` names a piece for players. Pieces are numbered from the
 * job's first on, whoever lists them. `most`: how many are shown, the newest.
 */
export function livePlaylist(
  lists: readonly { incarnation: number; list: LiveList }[],
  options: { isOver: boolean; uriOf: (incarnation: number, piece: LivePiece) => string; most?: number },
): string {
  const { isOver, uriOf, most = livePieces } = options;
  const all = lists.flatMap(({ incarnation, list }) => list.pieces.map((piece) => ({ incarnation, piece })));
  const shown = all.slice(-most);
  const gone = lists.reduce((sum, { list }) => sum + list.gone, 0) + all.length - shown.length;
  const longest = Math.max(livePieceSeconds, ...shown.map(({ piece }) => piece.seconds));
  return [
    '#EXTM3U',
    '#EXT-X-VERSION:3',
    `#EXT-X-TARGETDURATION:${Math.ceil(longest)}`,
    `#EXT-X-MEDIA-SEQUENCE:${gone}`,
    ...shown.flatMap(({ incarnation, piece }, index) => [
      ...(piece.begins && index > 0 ? ['#EXT-X-DISCONTINUITY'] : []),
      ...(piece.begins || index === 0
        ? [`#EXT-X-PROGRAM-DATE-TIME:${new Date(piece.at - piece.seconds * 1_000).toISOString()}`]
        : []),
      `#EXTINF:${piece.seconds.toFixed(3)},`,
      uriOf(incarnation, piece),
    ]),
    ...(isOver ? ['#EXT-X-ENDLIST'] : []),
    '',
  ].join('\n');
}

/** The master playlist of something that there is in one quality. */
export function liveMaster(uri: string, video: { width: number; height: number; bitrate: number }): string {
  const { width, height, bitrate } = video;
  const variant = `#EXT-X-STREAM-INF:BANDWIDTH=${bitrate},RESOLUTION=${width}x${height}`;
  return ['#EXTM3U', '#EXT-X-VERSION:3', variant, uri, ''].join('\n');
}
