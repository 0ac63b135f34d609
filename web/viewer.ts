/** The viewer page: shows and plays everybody in a room, and says when it is ready to be recorded. */
import { isLayout } from './layout.js';
import { LinkError, readLink, signallingUrl } from './link.js';
import { joinRoom } from './room-client.js';
import { createShow, type ParticipantState } from './show.js';

interface ViewerState {
  ready: boolean;
  layout: string;
  connected: boolean;
  participants: ParticipantState[];
  /** Where each is to be seen, in pixels of the page. The key of a person is their media id. */
  tiles: { key: string; x: number; y: number; width: number; height: number }[];
}

declare global {
  interface Window {
    tapedeck: {
      /** Answers whether there is such a layout. */
      setLayout?: (name: string) => boolean;
      state: () => object;
    };
  }
}

// Whoever has sent nothing after this long is not waited for.
const patienceMs = 5_000;
const lookMs = 50;

const element = (id: string) => document.getElementById(id) as HTMLElement;

function say(message: string): void {
  element('message').textContent = message;
  element('message').hidden = false;
  console.error(message);
}

try {
  view();
} catch (error) {
  if (!(error instanceof LinkError)) throw error;
  say(error.message);
}

function view(): void {
  const { token, layout, hidden } = readLink(location.search);
  const room = joinRoom({
    ...{ url: signallingUrl(location, token, true), hidden },
    ...{ watches: true, codec: 'vp8', keepSize: false, onChange },
  });
  const show = createShow({ stage: element('stage'), hint: element('sound'), layout, receiving: room.receiving });
  let isReady = false;
  let isRefused = false;
  let connectedAt: number | null = null;
  let awaited: ReadonlySet<string> = new Set();
  const readiness = setInterval(look, lookMs);

  window.tapedeck = {
    setLayout(name) {
      if (!isLayout(name)) return false;
      show.setLayout(name);
      return true;
    },
    state: (): ViewerState => ({
      ...{ ready: isReady, layout: show.layout, connected: room.connection.state === 'connected' },
      ...{ participants: show.state(), tiles: show.tiles() },
    }),
  };

  function onChange(): void {
    const participants = room.participants();
    show.update(participants, []);
    if (room.connection.state === 'refused' && !isRefused) {
      isRefused = true;
      say(room.connection.message);
    }
    const isConnected = room.connection.state === 'connected';
    if (!isConnected) connectedAt = null;
    else if (connectedAt === null) {
      connectedAt = performance.now();
      awaited = new Set(participants.map(({ mediaId }) => mediaId));
    }
  }

  /** Recorded from the moment that everybody who was there when we came is seen or heard. */
  function look(): void {
    if (connectedAt === null) return;
    const late = show
      .state()
      .filter(({ mediaId, audio, video }) => awaited.has(mediaId) && !isComplete(mediaId, audio, video));
    if (late.length > 0 && performance.now() - connectedAt < patienceMs) return;
    clearInterval(readiness);
    isReady = true;
    // Two frames later it is on the screen as well.
    requestAnimationFrame(() => requestAnimationFrame(() => console.log('START_RECORDING')));
  }

  function isComplete(mediaId: string, audio: boolean, video: boolean): boolean {
    const tracks = room.participants().find((each) => each.mediaId === mediaId)?.tracks ?? [];
    const has = (kind: string) => tracks.some((each) => each.kind === kind && !each.muted);
    return (audio || !has('audio')) && (video || !has('video'));
  }
}
