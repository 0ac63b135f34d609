/** Where the media of a recording comes from, as it is shown. */
import { viewerOf } from '../src/context.js';
import type { RecordingInput, RtpTrack } from '../src/recordings/config.js';
import { sendTo } from '../src/recordings/send-to.js';
import { maskedStreamUrl } from '../src/services/stream-urls.js';
import { builder } from './builder.js';
import { TrackKindEnum } from './participant.js';
import { InputTypeEnum, RecordingApplicationEnum } from './recording-values.js';
import { Room } from './room.js';
import { mayUse } from './scopes.js';
import { LayoutEnum } from './sources.js';

interface SourceShape {
  recordingId: string;
  input: RecordingInput;
}

const RtpTrackType = builder.objectRef<RtpTrack>('RtpTrack').implement({
  description: 'One track of an RTP session.',
  fields: (t) => ({
    kind: t.expose('kind', { type: TrackKindEnum, description: 'What it carries.' }),
    payloadType: t.exposeInt('payloadType', { description: 'Number of its packets, 0 to 127.' }),
    encoding: t.exposeString('encoding', { description: 'As in its description, such as `H264`.' }),
    clockRate: t.exposeInt('clockRate', { description: 'Hertz.' }),
    channels: t.exposeInt('channels', { nullable: true, description: 'Of sound. Null where it is not said.' }),
  }),
});

const ObsSettings = builder.objectRef<{ server: string; streamKey: string }>('ObsSettings').implement({
  description: 'What OBS Studio is to be given under Stream, as a custom service.',
  fields: (t) => ({
    server: t.exposeString('server', { description: 'Server.' }),
    streamKey: t.exposeString('streamKey', { description: 'Stream key; empty where there is none.' }),
  }),
});

const isSrt = ({ type }: RecordingInput): boolean => type === 'SRT_URL' || type === 'SRT_SERVER';

export const RecordingSource = builder.objectRef<SourceShape>('RecordingSource').implement({
  description: 'Where the media of a recording comes from.',
  fields: (t) => ({
    type: t.field({ type: InputTypeEnum, description: 'Of which type it is.', resolve: ({ input }) => input.type }),
    application: t.field({
      type: RecordingApplicationEnum,
      description: 'What reads it.',
      resolve: ({ input }) => (input.type === 'ROOM' ? 'BROWSER' : 'FFMPEG'),
    }),
    url: t.string({
      nullable: true,
      description:
        'What we call, or the multicast group that is received from. Without passwords, stream keys and queries for those who may not start jobs. Null where we are sent to, and for rooms.',
      resolve: ({ input }, _args, context) =>
        input.url !== null && !mayUse(viewerOf(context), 'RecordingSource.sendTo')
          ? maskedStreamUrl(input.type, input.url)
          : input.url,
    }),
    listenPort: t.int({
      nullable: true,
      description:
        'The first of the ports that it is sent to, or the port of the multicast group. Null where it is not sent to us.',
      resolve: ({ input }) => input.listenPort,
    }),
    sendTo: t.string({
      authScopes: { mayUse: 'RecordingSource.sendTo' },
      nullable: true,
      description:
        'The exact address to send to, with its stream key or passphrase. Where there are several recorders, it has the name of the one that runs it. Null where it is not sent to us, and without the scope `jobs:start`.',
      resolve: async (source, _args, { services }) => (await sendToOf(source, services))?.url ?? null,
    }),
    sendCommand: t.string({
      authScopes: { mayUse: 'RecordingSource.sendCommand' },
      nullable: true,
      description: 'A line for a shell that sends `input.mp4` there with ffmpeg. Null as `sendTo`.',
      resolve: async (source, _args, { services }) => (await sendToOf(source, services))?.command ?? null,
    }),
    obs: t.field({
      type: ObsSettings,
      authScopes: { mayUse: 'RecordingSource.obs' },
      nullable: true,
      description: 'What to give OBS Studio to send there. Null as `sendTo`, and where it cannot send that way.',
      resolve: async (source, _args, { services }) => (await sendToOf(source, services))?.obs ?? null,
    }),
    streamKey: t.string({
      authScopes: { mayUse: 'RecordingSource.streamKey' },
      nullable: true,
      description: 'The last part of the address of an RTMP or RTSP server. Null without the scope `jobs:start`.',
      resolve: ({ input }) => input.streamKey,
    }),
    passphrase: t.string({
      authScopes: { mayUse: 'RecordingSource.passphrase' },
      nullable: true,
      description: 'What SRT is encrypted with. Null where it is not, and without the scope `jobs:start`.',
      resolve: ({ input }) => input.passphrase,
    }),
    keyLength: t.int({
      nullable: true,
      description: 'Bytes of the key: 16, 24 or 32. Null where nothing is encrypted.',
      resolve: ({ input }) => (input.passphrase === null ? null : input.keyLength),
    }),
    latency: t.int({
      nullable: true,
      description: 'SRT and RIST: how late packets that were sent again may come, milliseconds. Null elsewhere.',
      resolve: ({ input }) => (isSrt(input) || input.type === 'RIST' ? input.latencyMs : null),
    }),
    streamId: t.string({
      nullable: true,
      description: 'SRT: what we ask the listener for. Null where it is nothing.',
      resolve: ({ input }) => input.streamId,
    }),
    linkStats: t.boolean({
      description:
        'Whether round trip, loss and buffers of an SRT link are measured. Where not, who sends to it must connect again when the recording is changed.',
      resolve: ({ input }) => input.linkStats,
    }),
    tracks: t.field({
      type: [RtpTrackType],
      nullable: true,
      description:
        'RTP: its tracks as the session description says, the first of them to `listenPort`, the second to the port two above. Null: an MPEG transport stream.',
      resolve: ({ input }) => input.tracks,
    }),
    room: t.prismaField({
      type: Room,
      nullable: true,
      description: 'The room, or where the participant is. Null for other inputs, and once it is deleted.',
      resolve: (query, { input }, _args, context) =>
        input.roomId === null ? null : context.services.rooms.find(query, input.roomId, viewerOf(context)),
    }),
    layout: t.field({
      type: LayoutEnum,
      nullable: true,
      description: 'How participants of a room are arranged. Null for other inputs.',
      resolve: ({ input }) => input.layout,
    }),
    identity: t.string({
      nullable: true,
      description: 'Identity of the participant. Null for other inputs.',
      resolve: ({ input }) => input.identity,
    }),
    connectTimeout: t.int({
      description: 'How long it may take to send its first media, seconds.',
      resolve: ({ input }) => input.connectTimeoutMs / 1000,
    }),
    reconnectTimeout: t.int({
      description: 'How long it is waited for when it was lost, seconds; of a room, how long it may be empty.',
      resolve: ({ input }) => input.reconnectTimeoutMs / 1000,
    }),
  }),
});

async function sendToOf(
  { recordingId, input }: SourceShape,
  { recordingPages }: { recordingPages: { inputHost(recordingId: string): Promise<string> } },
) {
  return sendTo(input, await recordingPages.inputHost(recordingId));
}
