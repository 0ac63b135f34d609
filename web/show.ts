/** The show of a room in an element: figures laid out, voices heard, the speaker followed. Both pages have one. */
import { createSpeakers } from './active-speaker.js';
import { type Layout, layOut, type Tile } from './layout.js';
import { createReceptionMeter } from './receiving.js';
import type { Participant } from './room-client.js';
import { type Figure, sceneOf } from './scene.js';
import { createSoundBoard } from './sound.js';
import { createStage } from './stage.js';

export interface ParticipantState {
  mediaId: string;
  name: string;
  /** Whether sound, and whether a picture, is really coming. */
  audio: boolean;
  video: boolean;
  /** Of the picture, or of the screen where there is no other; 0 before the first. */
  width: number;
  height: number;
}

export interface Show {
  /** Everything that is to be seen and heard from now on; `own` are figures of our own, unheard. */
  update(participants: readonly Participant[], own: readonly Figure[]): void;
  setLayout(layout: Layout): void;
  readonly layout: Layout;
  state(): ParticipantState[];
  tiles(): Tile[];
}

// Three looks lie in the half second after which somebody counts as speaking.
const lookMs = 150;
// At one picture a second, the slowest that cameras and screens are sent with, two may be missing.
const frozenMs = 2_500;

export function createShow(options: {
  stage: HTMLElement;
  hint: HTMLElement;
  layout: Layout;
  receiving: () => RTCPeerConnection | null;
}): Show {
  const stage = createStage(options.stage);
  const sound = createSoundBoard(options.hint);
  const speakers = createSpeakers();
  const meter = createReceptionMeter();
  let { layout } = options;
  let participants: readonly Participant[] = [];
  let own: readonly Figure[] = [];
  let speaker: string | null = null;
  let tiles: Tile[] = [];
  /** When pictures last came, by the id of their track. */
  let pictured = new Map<string, number>();
  let isLooking = false;

  new ResizeObserver(draw).observe(options.stage);
  setInterval(() => void look(), lookMs);

  return {
    update(nowThere, ownNow) {
      participants = nowThere;
      own = ownNow;
      draw();
    },
    setLayout(wanted) {
      layout = wanted;
      draw();
    },
    get layout() {
      return layout;
    },
    state: () => participants.filter(({ tracks }) => tracks.length > 0).map(stateOf),
    tiles: () => tiles,
  };

  function scene() {
    const { figures, voices } = sceneOf(participants);
    return { figures: [...own, ...figures], voices };
  }

  function draw(): void {
    const { figures, voices } = scene();
    // Who publishes sees what they send, and the others beside it.
    tiles = layOut(layout, figures, stage.size(), own[0]?.key ?? speaker);
    stage.show(figures, tiles);
    sound.play(voices);
    options.stage.classList.toggle('empty', figures.length === 0);
  }

  async function look(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    const reception = await meter.read(options.receiving());
    isLooking = false;
    const now = performance.now();
    const { figures, voices } = scene();
    const known = new Map<string, number>();
    for (const { video } of figures) {
      if (!video) continue;
      const last = reception.get(video.id)?.flows ? now : pictured.get(video.id);
      if (last !== undefined) known.set(video.id, last);
    }
    pictured = known;
    const levels = new Map<string, number>();
    for (const { figure, track } of voices)
      levels.set(figure, Math.max(levels.get(figure) ?? 0, reception.get(track.id)?.level ?? 0));
    const before = speaker;
    speaker = speakers.note(now, levels);
    for (const figure of figures)
      stage.mark(figure.key, { speaking: speakers.isSpeaking(figure.key), picture: hasPicture(figure) });
    if (speaker !== before) draw();
  }

  function hasPicture({ key, video }: Figure): boolean {
    if (!video || !stage.picture(key)) return false;
    if (own.some((each) => each.key === key)) return video.enabled;
    return performance.now() - (pictured.get(video.id) ?? Number.NEGATIVE_INFINITY) < frozenMs;
  }

  function stateOf(participant: Participant): ParticipantState {
    const { mediaId, name } = participant;
    const { figures, voices } = sceneOf([participant]);
    const size = figures.map(({ key }) => stage.picture(key)).find((each) => each !== null);
    return {
      ...{ mediaId, name },
      audio: voices.some(({ track }) => !track.muted),
      video: figures.some(hasPicture),
      ...(size ?? { width: 0, height: 0 }),
    };
  }
}
