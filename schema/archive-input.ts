/** What an archive is asked for with, whether it is started at once or by a schedule. */
import type { builder } from './builder.js';
import { sourceInputFields } from './sources.js';
import { startInputFields } from './start-fields.js';

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0];

/** All but when, and under which name, it is asked for. `usual`: of what is left out. */
export const archiveInputFields = (t: InputFields, usual: { maxDuration: string; idleTimeout: string }) => ({
  ...sourceInputFields(t),
  width: t.int({
    required: false,
    description: 'Pixels, 320 to 1920, 640 when left out. Odd ones are rounded up to even.',
  }),
  height: t.int({
    required: false,
    description: 'Pixels, 240 to 1080, 480 when left out. Odd ones are rounded up to even.',
  }),
  maxDuration: t.int({
    required: false,
    description: `Seconds from the first frame until it stops by itself, pauses excluded; 1 to 21,600, ${usual.maxDuration}.`,
  }),
  hasAudio: t.boolean({ required: false, description: 'Whether the result has sound; true when left out.' }),
  hasVideo: t.boolean({ required: false, description: 'Whether the result has a picture; true when left out.' }),
  individualStreamRecord: t.boolean({
    required: false,
    description:
      'Whether each participant of the room, or each media element of the page, is recorded to files of its own too, as it is published: they are delivered together in one `.tar`. False when left out.',
  }),
  broadcastUrl: t.string({
    required: false,
    description:
      'Where it is broadcast to while it is captured, an rtmp or rtmps address with its stream key; at most 2,048 characters. See `updateJobOutputs` for more of them.',
  }),
  record: t.boolean({
    required: false,
    description:
      'Whether a file is made of it; true when left out, but false with a `broadcastUrl`: a broadcast has no downloadable result unless this is given.',
  }),
  idleTimeout: t.int({
    required: false,
    description: `Of a room: seconds after which it stops by itself when nobody publishes, 5 to 86,400, ${usual.idleTimeout}.`,
  }),
  autostart: t.boolean({
    required: false,
    description:
      'Whether recording begins as soon as the page is ready; true when left out. False: it waits in STANDBY for `beginArchive`, 15 minutes unless set otherwise.',
  }),
  ...startInputFields(t),
  name: t.string({ required: false, description: 'Whatever helps to recognise it; at most 200 characters.' }),
});
