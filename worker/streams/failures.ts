/** What ffmpeg's last words say of an input that could not be recorded. */
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import type { InputType } from '../../src/recordings/config.js';

export function classify(log: string, _type: InputType): JobFailure {
  return failure('SOURCE_UNREACHABLE', log.trim().split('\n').slice(-3).join('\n'));
}
