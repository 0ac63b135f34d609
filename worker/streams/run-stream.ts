/** Records a live input, from its first connection to the end. */
import type { HostOutcome, StreamSpec } from '../../src/jobs/capture.js';
import type { HostKit } from '../host/kit.js';
import type { Changes } from './changes.js';
import { superviseStream } from './supervise.js';

/** Records to the end. Leaves nothing running. Throws what nobody foresaw. */
export async function runStream(spec: StreamSpec, kit: HostKit, changes: Changes): Promise<HostOutcome> {
  try {
    return await superviseStream(spec, kit, changes);
  } finally {
    kit.setPhase('STOPPING');
    await kit.outlets.close();
  }
}
