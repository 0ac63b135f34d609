/** Why a job ended, or changed state against its will: stable codes, and for each who has to act and how to say it. */

/** Who must act on a failure. */
export const failureActors = ['USER', 'SOURCE', 'DESTINATION', 'SERVICE'] as const;
export type FailureActor = (typeof failureActors)[number];

interface Reason {
  /** Null: nothing failed, this is an ordinary end. */
  actor: FailureActor | null;
  /** What a person should know and do. More exact words may come with the event. */
  message: string;
}

const reason = (actor: FailureActor | null, message: string): Reason => ({ actor, message });

export const reasons = {
  USER_INITIATED: reason(null, 'Stopped on request.'),
  MAXIMUM_DURATION: reason(null, 'The maximum duration was reached.'),
  SESSION_ENDED: reason(null, 'The session has ended.'),
  IDLE_TIMEOUT: reason(null, 'The room stayed empty for too long.'),
  SOURCE_ENDED: reason(null, 'The source has ended, or was gone for longer than the reconnect timeout.'),
  WINDOW_ENDED: reason(null, 'The window of its schedule has ended.'),
  REPLACED: reason(null, 'Another run of the recording was started in its place.'),
  CANCELED: reason(null, 'Canceled before recording began.'),
  QUEUE_TIMEOUT: reason('SERVICE', 'No recorder had room in time. Add recorder workers, or ask again later.'),
  STANDBY_TIMEOUT: reason('USER', 'Recording was not begun in time after the job was ready.'),
  START_TIMEOUT: reason('SERVICE', 'Recording did not begin in time.'),
  PAUSE_TIMEOUT: reason('USER', 'Recording was paused for too long; what was recorded is kept.'),
  URL_REFUSED: reason('USER', 'The URL leads to an address that recordings may not reach.'),
  PAGE_UNREACHABLE: reason('SOURCE', 'The page could not be reached. Check the address and that its server is up.'),
  PAGE_HTTP_ERROR: reason('SOURCE', 'The page answered with an error status. Check the address in a browser.'),
  PAGE_LOAD_TIMEOUT: reason(
    'SOURCE',
    'The page did not become ready in time, also after a reload. See its screenshot and console log.',
  ),
  PAGE_CRASHED: reason('SOURCE', 'The page crashed again and again. See its screenshot and console log.'),
  PAGE_CLOSED: reason('SOURCE', 'The page closed itself.'),
  SOURCE_UNREACHABLE: reason(
    'SOURCE',
    'The source could not be reached, or sent nothing, in time. Check its address and that it is live.',
  ),
  SOURCE_REFUSED: reason('USER', 'The source refused us. Check user name, password, passphrase and stream key.'),
  SOURCE_UNREADABLE: reason('SOURCE', 'What the source sends is no media that can be recorded.'),
  SOURCE_WITHOUT_VIDEO: reason(
    'SOURCE',
    'The source sends no picture. Leave the picture out of the recording, or check the encoder.',
  ),
  SOURCE_WITHOUT_AUDIO: reason('SOURCE', 'The source sends no sound, and the recording is to have nothing else.'),
  PORT_IN_USE: reason('SERVICE', 'The port at which the source is to arrive is in use by another program.'),
  CAPTURE_FAILED: reason('SERVICE', 'The recorder could not go on. See the log file of the job.'),
  DISK_FULL: reason('SERVICE', 'The disk of the recorder is full. Free some space, or set DATA_DIR to a larger disk.'),
  MACHINE_LOST: reason('SERVICE', 'The machine that recorded was lost.'),
  HANDED_OVER: reason('SERVICE', 'The machine that recorded is taken out of service: another one goes on.'),
  MEDIA_MISSING: reason(
    'SERVICE',
    'Some of what was recorded is not in the result: it could not be read, or reached. The parts are kept for a while; the files can be made again.',
  ),
  NO_MEDIA: reason('SERVICE', 'Nothing was recorded.'),
  FINALIZE_FAILED: reason('SERVICE', 'The recorded parts are kept, but the result could not be made of them.'),
  SERVICE_STOPPED: reason('SERVICE', 'The service was stopped; recording goes on when it is started again.'),
} as const satisfies Record<string, Reason>;
export type JobReason = keyof typeof reasons;
export const jobReasons = Object.keys(reasons) as JobReason[];

/** Reasons after which a recording is COMPLETE; after any other it is PARTIAL, or FAILED when nothing was recorded. */
export const intendedEnds: readonly JobReason[] = [
  'USER_INITIATED',
  'MAXIMUM_DURATION',
  'SESSION_ENDED',
  'IDLE_TIMEOUT',
  'SOURCE_ENDED',
  'WINDOW_ENDED',
  'REPLACED',
];

/** A failure as it travels between host, worker, workflow and database. */
export interface JobFailure {
  reason: JobReason;
  /** What was wrong, what was expected, what to do; at most 2,000 characters. */
  message: string;
}

export function failure(reason: JobReason, detail?: string): JobFailure {
  const message = detail ? `${reasons[reason].message} ${detail}` : reasons[reason].message;
  return { reason, message: message.slice(0, 2000) };
}
