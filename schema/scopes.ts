/** Which scope of the caller's credentials each guarded field needs: every root field, and what opens other doors. */
import type { RoomScope } from '../src/auth/room-tokens.js';
import type { Scope, Viewer } from '../src/auth/viewer.js';

export const scopeOf = {
  'Query.activeStats': 'jobs:read',
  'Query.archive': 'jobs:read',
  'Query.archives': 'jobs:read',
  'Query.capacity': 'jobs:read',
  'Query.job': 'jobs:read',
  'Query.jobs': 'jobs:read',
  'Query.node': 'jobs:read',
  'Query.nodes': 'jobs:read',
  'Query.recording': 'jobs:read',
  'Query.recordings': 'jobs:read',
  'Query.render': 'jobs:read',
  'Query.renders': 'jobs:read',
  'Query.room': 'jobs:read',
  'Query.rooms': 'jobs:read',
  'Query.schedule': 'jobs:read',
  'Query.schedules': 'jobs:read',
  'Query.session': 'jobs:read',
  'Query.sessions': 'jobs:read',
  'Query.task': 'jobs:read',
  'Query.tasks': 'jobs:read',
  'Query.viewer': 'jobs:read',
  'Query.workers': 'jobs:read',
  'Query.webhookDeliveries': 'jobs:read',
  'Mutation.beginArchive': 'jobs:write',
  'Mutation.cancelJob': 'jobs:write',
  'Mutation.createApiKey': 'keys:write',
  'Mutation.createRecording': 'jobs:start',
  'Mutation.createSchedule': 'jobs:start',
  'Mutation.createRoomToken': 'rooms:write',
  'Mutation.deleteRecording': 'jobs:write',
  'Mutation.deleteRecordingFile': 'jobs:write',
  'Mutation.deleteSchedule': 'jobs:write',
  'Mutation.deleteRoom': 'rooms:write',
  'Mutation.ensureRoom': 'rooms:write',
  'Mutation.muteParticipant': 'rooms:write',
  'Mutation.pauseJob': 'jobs:write',
  'Mutation.resumeJob': 'jobs:write',
  'Mutation.redeliverWebhook': 'jobs:write',
  'Mutation.refinalizeJob': 'jobs:write',
  'Mutation.removeParticipant': 'rooms:write',
  'Mutation.resetStreamKey': 'rooms:write',
  'Mutation.revokeApiKey': 'keys:write',
  'Mutation.rotateWebhookSecret': 'keys:write',
  'Mutation.setFileVisibility': 'jobs:write',
  'Mutation.setHold': 'jobs:write',
  'Mutation.setLayout': 'jobs:write',
  'Mutation.startArchive': 'jobs:start',
  'Mutation.startRecording': 'jobs:start',
  'Mutation.startRender': 'jobs:start',
  'Mutation.startTask': 'jobs:start',
  'Mutation.stopRecording': 'jobs:write',
  'Mutation.stopRender': 'jobs:write',
  'Mutation.stopTask': 'jobs:write',
  'Mutation.stopArchive': 'jobs:write',
  'Mutation.updateJobOutputs': 'jobs:write',
  // What is recorded, and that it is: as much as to start a job.
  'Mutation.updateRecording': 'jobs:start',
  'Mutation.updateSchedule': 'jobs:start',
  'Mutation.updateRoom': 'rooms:write',
  'Subscription.activeStats': 'jobs:read',
  'Subscription.capacity': 'jobs:read',
  'Subscription.events': 'jobs:read',
  'Subscription.jobEvents': 'jobs:read',
  'Subscription.roomEvents': 'jobs:read',
  'Subscription.jobStats': 'jobs:read',
  'Subscription.sessionStats': 'jobs:read',
  // A signed URL needs no credentials any more.
  'Archive.downloadUrl': 'files:read',
  'Archive.thumbnailUrl': 'files:read',
  'File.downloadUrl': 'files:read',
  'File.playUrl': 'files:read',
  'Job.previewUrl': 'files:read',
  'Project.apiKeys': 'keys:write',
  // Whoever knows it plays what was recorded.
  'Session.playbackId': 'files:read',
  'Session.mp4Url': 'files:read',
  // Whoever knows these sends what is recorded.
  'RecordingSource.obs': 'jobs:start',
  'RecordingSource.passphrase': 'jobs:start',
  'RecordingSource.sendCommand': 'jobs:start',
  'RecordingSource.sendTo': 'jobs:start',
  'RecordingSource.streamKey': 'jobs:start',
  // Whoever has a stream key publishes.
  'Room.ingest': 'rooms:write',
} as const satisfies Record<string, Scope>;
export type GuardedField = keyof typeof scopeOf;

/** What the token of a room opens, whatever else its holder is told to need; null: whatever the token is good for. */
export const openToRooms: Partial<Record<GuardedField, RoomScope | null>> = {
  'Query.node': null,
  'Query.nodes': null,
  'Query.room': null,
  'Mutation.muteParticipant': 'moderate',
  'Mutation.removeParticipant': 'moderate',
  'Subscription.roomEvents': null,
};

export function mayUse(viewer: Viewer, field: GuardedField): boolean {
  if (viewer.kind !== 'room') return viewer.scopes.includes(scopeOf[field]);
  const needed = openToRooms[field];
  return needed === null || (needed !== undefined && viewer.roomScopes.includes(needed));
}
