/** How a browser is told what to do with a download. */

// What cannot run script. HTML and SVG could, in our own origin.
const shownSafely = /^(video\/|audio\/|image\/(png|jpeg|webp|gif|avif)$|text\/plain|application\/json)/;

/** The `Content-Disposition` of a file: to be saved, or shown if asked for and harmless (RFC 6266). */
export function dispositionOf({ name, mediaType }: { name: string; mediaType: string }, inline: boolean): string {
  const kind = inline && shownSafely.test(mediaType) ? 'inline' : 'attachment';
  const plain = name.replace(/[^\x20-\x7e]|["\\%/]/g, '_');
  const full = encodeURIComponent(name).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
  return `${kind}; filename="${plain}"; filename*=UTF-8''${full}`;
}
