/** What may be wrong with a recording while it goes on: stable codes, and how to say each. */

export const warnings = {
  FROZEN_PAGE: 'The page has stopped drawing: it hangs, or the machine is too busy for it.',
  BLACK_PICTURE: 'The picture is black.',
  SILENT_SOUND: 'There is no sound.',
  OVERLOADED: 'The machine cannot record as fast as the page plays; frames are lost.',
  DISK_LOW: 'The disk of the recorder is nearly full; recording will be stopped before it is.',
  UPLOAD_LAGGING:
    'The storage takes up what is recorded too slowly; should the machine be lost, more would be lost with it.',
  SOURCE_MISSING: 'No media comes from the source.',
  TIME_JUMPS: 'The times that the source gives jump: each jump begins another part.',
  FORMAT_UNSUITABLE:
    'What the source sends does not fit the format that was asked for; a format that holds it is made.',
  TRACKS_LOST: 'Not every participant or media element is being recorded to a file of its own.',
} as const satisfies Record<string, string>;
export type WarningCode = keyof typeof warnings;
export const warningCodes = Object.keys(warnings) as WarningCode[];
