/** Why no files are made of what was recorded: each keeps the parts. */

/** The result does not have the length of its parts: something would be missing without anyone knowing. */
export class LengthMismatchError extends Error {
  override name = 'LengthMismatchError';
  constructor(
    readonly file: string,
    readonly resultMs: number,
    readonly partsMs: number,
  ) {
    super(
      `${file} would last ${Math.round(resultMs)} ms, but its parts last ${Math.round(partsMs)} ms together. The parts are kept; ` +
        'look at them with ffprobe.',
    );
  }
}

/** Parts of the job that earlier files were made of are not there any more. */
export class PartsGoneError extends Error {
  override name = 'PartsGoneError';
  constructor() {
    super('The parts of the recording are not there any more: its files cannot be made again.');
  }
}

/** Less was found than earlier files of the job hold. */
export class LessFoundError extends Error {
  override name = 'LessFoundError';
  constructor(foundMs: number, leastMs: number) {
    super(
      `Only ${seconds(foundMs)} of the recording were found, but its files hold ${seconds(leastMs)}: no shorter ones are made. ` +
        'Other parts may be on a machine that is away: start its recorder worker and ask again. Without a storage that all ' +
        'machines share, each can only use its own.',
    );
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
