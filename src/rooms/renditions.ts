/** How the playable files of a recording are called. */

/** Playlist that names the renditions. */
export const masterName = 'master.m3u8';
export const renditionPlaylist = (name: string): string => `${name}.m3u8`;
/** All of a rendition's media in one file, of which its playlist names byte ranges. */
export const renditionMedia = (name: string): string => `${name}.mp4`;
