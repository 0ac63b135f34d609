/** What we publish in a room: its tracks, which may be added, taken away, replaced and silenced while it is live. */
import type { Handle, Jsep, RoomMessage } from './janus.js';

export type Source = 'camera' | 'microphone' | 'screen';

export interface LocalTrack {
  track: MediaStreamTrack;
  source: Source;
}

export type VideoCodec = 'vp8' | 'h264';

export interface Publication {
  readonly isPublished: boolean;
  /** Brings what is published in line with these; several calls are done one after the other. */
  publish(tracks: readonly LocalTrack[]): Promise<void>;
  /** Stops or resumes sending everything of a source; who watches sees no more of it. */
  send(source: Source, sends: boolean): Promise<void>;
  onMessage(message: RoomMessage, jsep: Jsep | undefined): void;
}

interface Sent extends LocalTrack {
  mid: string;
}

const answerLimitMs = 10_000;

export function createPublication(handle: Handle, codec: VideoCodec, keepSize: boolean): Publication {
  let sent: Sent[] = [];
  let isPublished = false;
  let settle: ((outcome: Jsep | Error) => void) | null = null;
  let queue: Promise<unknown> = Promise.resolve();

  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = queue.then(work);
    queue = done.catch(() => {});
    return done;
  };

  return {
    get isPublished() {
      return isPublished;
    },
    publish: (tracks) => inTurn(() => bringInLine(tracks)),
    send: (source, sends) =>
      inTurn(async () => {
        const streams = sent
          .filter((each) => each.source === source)
          .map(({ mid }) => ({ mid, send: sends, ...(sends ? { keyframe: true } : {}) }));
        if (streams.length > 0) await handle.send({ request: 'configure', streams });
      }),
    onMessage(message, jsep) {
      if (message.error_code !== undefined) settle?.(new Error(message.error ?? `Error ${message.error_code}`));
      else if (message.configured === 'ok' && jsep) settle?.(jsep);
    },
  };

  async function bringInLine(tracks: readonly LocalTrack[]): Promise<void> {
    for (const each of sent) {
      const heir = tracks.find(({ source }) => source === each.source);
      if (heir && heir.track !== each.track) await replace(each, heir.track);
    }
    const add = tracks.filter(({ source }) => !sent.some((each) => each.source === source));
    const remove = sent.filter(({ source }) => !tracks.some((each) => each.source === source));
    if (add.length === 0 && remove.length === 0) return;
    const offer = await handle.offer(
      add.map(({ track }) => ({ track, kind: track.kind as 'audio' | 'video' })),
      remove.map(({ mid }) => mid),
    );
    sent = [
      ...sent.filter((each) => !remove.includes(each)),
      ...add.map((each) => ({ ...each, mid: transceiverOf(each.track)?.mid ?? '' })),
    ];
    if (keepSize) await Promise.all(add.map(({ track }) => keepItsSize(track)));
    const descriptions = sent.map(({ mid, source }) => ({ mid, description: source }));
    const codecs = { audiocodec: 'opus', videocodec: codec };
    const request = isPublished
      ? { request: 'configure', descriptions }
      : { request: 'publish', descriptions, ...codecs };
    await handle.accept(await answered(() => handle.send(request, offer)));
    isPublished = true;
  }

  async function replace(old: Sent, track: MediaStreamTrack): Promise<void> {
    await transceiverOf(old.track)?.sender.replaceTrack(track);
    old.track = track;
  }

  function transceiverOf(track: MediaStreamTrack): RTCRtpTransceiver | undefined {
    return handle
      .connection()
      ?.getTransceivers()
      .find(({ sender }) => sender.track === track);
  }

  /** Otherwise a busy machine is sent smaller pictures: right for faces, wrong for what is to be read. */
  async function keepItsSize(track: MediaStreamTrack): Promise<void> {
    const sender = transceiverOf(track)?.sender;
    if (!sender || track.kind !== 'video') return;
    const parameters = sender.getParameters();
    parameters.degradationPreference = 'maintain-resolution';
    await sender.setParameters(parameters);
  }

  async function answered(send: () => Promise<void>): Promise<Jsep> {
    const limit = setTimeout(() => settle?.(new Error('The media server did not answer.')), answerLimitMs);
    try {
      const outcome = await new Promise<Jsep | Error>((resolve) => {
        settle = resolve;
        send().catch(resolve);
      });
      if (outcome instanceof Error) throw outcome;
      return outcome;
    } finally {
      clearTimeout(limit);
      settle = null;
    }
  }
}
