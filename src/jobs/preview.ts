/** For how long a preview is made after somebody last asked for it, milliseconds. */
export const previewWantedMs = 30_000;
