/** Records a live input, from its first connection to the end. */
import type { HostOutcome, StreamSpec } from '../../src/jobs/capture.js';
import type { HostKit } from '../host/kit.js';

export async function runStream(_spec: StreamSpec, _kit: HostKit): Promise<HostOutcome> {
  throw new Error('not yet');
}
