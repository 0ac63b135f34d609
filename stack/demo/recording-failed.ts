/** What ends the demo when it is not the demo's own fault. */

/** The recording did not come about; the message says why and what to do. */
export class RecordingFailedError extends Error {
  override name = 'RecordingFailedError';
}
