import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bed, openBed } from '../../chaos/bed.js';
import { createChance } from '../../chaos/chance.js';
import { matrix } from '../../chaos/matrix.js';
import type { Row } from '../../chaos/row.js';
import { runRow } from '../../chaos/run-row.js';

/** The rows of the fault matrix that take less than 20 s; `npm run chaos` runs all of them, and for longer. */

/** Other tests record beside these: what has to be quick may take so many times as long as on a machine of its own. */
const busyMachine = 3;

const promises: Record<string, string> = {
  'ffmpeg-kill': 'a kill of ffmpeg: the same job goes on as its next part, and the gap is told',
  'ffmpeg-hang': 'a hang of ffmpeg: it is noticed by the media that does not grow, and another goes on',
  'chromium-kill': 'a kill of Chromium: the page is opened again, and the same job goes on',
  'xvfb-kill': 'a kill of the display: all that stood on it is opened again, and the same job goes on',
  'xvfb-hang': 'a hang of the display: it is noticed, and the same job goes on with another one',
  'pulseaudio-kill': 'a kill of the sound server: the same job goes on with another one',
  'pulseaudio-hang': 'a hang of the sound server: it is noticed, and the same job goes on with another one',
  'host-kill': 'a kill of the recorder host: another host goes on with the same job',
  'worker-kill': 'a kill of the recorder worker: no picture is missing',
  'jobs-worker-kill': 'a kill of the workflow worker: no picture is missing',
  'api-kill': 'a kill of the API: no picture is missing, and its subscriber misses no event',
  'postgres-kill': 'a kill of Postgres: no picture is missing',
  'temporal-kill': 'a kill of Temporal: no picture is missing',
  'stop-on-dead-worker': 'a stop while the recorder worker is dead: it is accepted, and the job ends',
};

describe('a recording survives, with every event told once, one result, and nothing left behind', () => {
  const chance = createChance(Date.now() % 2 ** 31);
  let bed: Bed | undefined;
  beforeAll(async () => {
    bed = await openBed({ kind: 'machine', quick: true });
  });
  afterAll(async () => {
    await bed?.close();
  });

  test.each(Object.entries(promises).map(([name, promise]) => ({ name, promise })))(
    '$promise',
    async ({ name }) => {
      const row = matrix.find((each) => each.name === name) as Row;
      const trial = { bed: bed as Bed, quick: true, chance: chance.of(name), slowness: busyMachine };
      const { complaints, pictures } = await runRow(row, trial);
      expect(complaints, `seed ${chance.seed}`).toEqual([]);
      expect(pictures).toBeGreaterThan(0);
    },
    180_000,
  );
});
