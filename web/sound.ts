/** Plays everybody's sound, whoever is to be seen, and asks for a click where the browser wants one. */
import type { Voice } from './scene.js';

export interface SoundBoard {
  play(voices: readonly Voice[]): void;
}

/** `hint` is shown while the browser keeps the sound back. */
export function createSoundBoard(hint: HTMLElement): SoundBoard {
  const players = new Map<MediaStreamTrack, HTMLAudioElement>();
  const start = (player: HTMLAudioElement) =>
    player.play().catch((error: DOMException) => {
      if (error.name === 'NotAllowedError') hint.hidden = false;
    });
  addEventListener('pointerdown', () => {
    hint.hidden = true;
    for (const player of players.values()) void start(player);
  });
  return {
    play(voices) {
      const tracks = new Set(voices.map(({ track }) => track));
      for (const [track, player] of players) {
        if (tracks.has(track)) continue;
        player.srcObject = null;
        player.remove();
        players.delete(track);
      }
      for (const track of tracks) {
        if (players.has(track)) continue;
        const player = Object.assign(new Audio(), { srcObject: new MediaStream([track]) });
        players.set(track, player);
        document.body.append(player);
        void start(player);
      }
    },
  };
}
