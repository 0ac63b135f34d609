/** What is done to picture and sound before they are encoded, as filters of ffmpeg: built of numbers and names of ours alone. */
import type {
  AudioChange,
  AudioTreatment,
  Overlay,
  RecordingConfig,
  VideoChange,
} from '../../src/recordings/config.js';

/** Names of files in the encoder's working folder that overlays are read from. */
export const overlayFiles = { text: 'overlay.txt', image: 'overlay.img' } as const;

// ffmpeg's layouts by number of channels, from 1.
const layouts = ['mono', 'stereo', '2.1', 'quad', '5.0', '5.1', '6.1', '7.1'];

/** The filters of the sound, in order; empty when there is nothing to do. */
export function audioFilters(change: AudioChange | null, treatment: AudioTreatment): string[] {
  if (treatment.mode !== 'TRANSCODE') return [];
  const filters: string[] = [];
  if (change?.channels) {
    const picked = change.channels.map((channel, index) => `c${index}=c${channel - 1}`);
    filters.push(`pan=${layouts[picked.length - 1]}|${picked.join('|')}`);
  }
  if (change?.downmix) filters.push(`aformat=channel_layouts=${change.downmix.toLowerCase()}`);
  if (change && change.gain !== 0) filters.push(`volume=${change.gain}dB`);
  // Packets that a network lost leave holes: they become silence, so that sound and picture stay together.
  filters.push('aresample=async=1000');
  return filters;
}

/** The filters of the picture that have one input, in order, before anything is put over it. */
export function videoFilters({ videoChange, video }: Pick<RecordingConfig, 'videoChange' | 'video'>): string[] {
  if (video.mode !== 'TRANSCODE') return [];
  const { width, height, filterFps } = video;
  return [
    ...(videoChange ? changeFilters(videoChange) : []),
    ...(filterFps ? [`fps=${filterFps}`] : []),
    // The side that is not given follows the other, even.
    ...(width || height ? [`scale=${width ?? -2}:${height ?? -2}`] : []),
  ];
}

function changeFilters({ deinterlace, crop, rotate, scale, fps }: VideoChange): string[] {
  const turns = { 0: [], 90: ['transpose=clock'], 180: ['hflip', 'vflip'], 270: ['transpose=cclock'] }[rotate];
  return [
    // Only pictures that say so are interlaced.
    ...(deinterlace ? ['yadif=deint=interlaced'] : []),
    ...(crop ? [`crop=${crop.width}:${crop.height}:${crop.x}:${crop.y}`] : []),
    ...turns,
    ...(scale ? [`scale=${scale.width}:${scale.height}`] : []),
    ...(fps ? [`fps=${fps}`] : []),
  ];
}

/** A filter graph from `from` to the label `picture`; `image` is the label of the overlay's own picture, where it has one. */
export function pictureGraph(
  from: string,
  config: Pick<RecordingConfig, 'videoChange' | 'video' | 'overlay'>,
  image: string,
): string {
  const { overlay } = config;
  const chain = videoFilters(config);
  if (overlay?.content.kind === 'TEXT') chain.push(textFilter(overlay, overlay.content));
  if (overlay?.content.kind !== 'IMAGE') return `[${from}]${[...chain, 'null'].join(',')}[picture]`;
  const { x, y, opacity } = overlay;
  return [
    `[${from}]${[...chain, 'null'].join(',')}[below]`,
    `[${image}]format=rgba,colorchannelmixer=aa=${opacity}[above]`,
    `[below][above]overlay=${x}:${y}:eof_action=repeat[picture]`,
  ].join(';');
}

/** The text is read from a file as it is: nothing in it means anything. */
function textFilter({ x, y, opacity }: Overlay, { size, color }: { size: number; color: string }): string {
  const look = `font=Sans:fontsize=${size}:fontcolor=0x${color}@${opacity}`;
  return `drawtext=textfile=${overlayFiles.text}:expansion=none:${look}:x=${x}:y=${y}`;
}
