/** Activities of the jobs worker: what a job's workflow has to write down. */
import type { Database } from '../../src/db.js';
import { placementChannel, type Wake } from '../../src/events/outbox.js';
import type { JobActivities } from '../../src/jobs/messages.js';
import type { Captures } from '../../src/services/captures.js';
import { explainWait } from '../../src/services/machine-rooms.js';
import type { Placement } from '../../src/services/placement.js';
import type { Transitions } from '../../src/services/transitions.js';

export function createJobActivities(deps: {
  db: Database;
  captures: Captures;
  transitions: Transitions;
  placement: Placement;
  wake: Wake;
}): JobActivities {
  return {
    async transition(input) {
      const message =
        input.message ?? (input.reason === 'QUEUE_TIMEOUT' ? await explainWait(deps.db, input.jobId) : undefined);
      return deps.transitions.transition({ ...input, message });
    },
    begin: ({ jobId }) => deps.transitions.begin(jobId),
    async requestPlacement({ jobId, lostMachineId }) {
      await deps.placement.request(jobId, lostMachineId);
      deps.wake(placementChannel);
    },
    filesFailed: (failure) => deps.captures.filesFailed(failure),
  };
}
