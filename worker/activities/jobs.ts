/** Activities of the jobs worker: what a job's workflow has to write down. */
import { placementChannel, type Wake } from '../../src/events/outbox.js';
import type { JobActivities } from '../../src/jobs/messages.js';
import type { Placement } from '../../src/services/placement.js';
import type { Transitions } from '../../src/services/transitions.js';

export function createJobActivities(deps: {
  transitions: Transitions;
  placement: Placement;
  wake: Wake;
}): JobActivities {
  return {
    transition: (input) => deps.transitions.transition(input),
    async requestPlacement({ jobId }) {
      await deps.placement.request(jobId);
      deps.wake(placementChannel);
    },
  };
}
