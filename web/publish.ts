/** The publish page: joins a room with a camera and a microphone, a screen, or a synthetic person for tests and demos. */
import { DeviceError, listDevices, openCameraAndMicrophone, openScreen } from './devices.js';
import { LinkError, readLink, signallingUrl } from './link.js';
import type { LocalTrack, Source } from './publication.js';
import { joinRoom, type RoomClient } from './room-client.js';
import type { Figure } from './scene.js';
import { createShow } from './show.js';
import { startTestSource, type TestPerson, type TestSource } from './test-picture.js';

const element = <Kind extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as Kind;

function stop(message: string): void {
  element('message').textContent = message;
  element('message').hidden = false;
  console.error(message);
}

try {
  await publishPage();
} catch (error) {
  if (!(error instanceof LinkError)) throw error;
  stop(error.message);
}

/** Throws LinkError. */
function numberOption(options: URLSearchParams, name: string, fallback: number, least: number, most: number): number {
  const given = options.get(name);
  const value = given === null ? fallback : Number(given);
  if (Number.isFinite(value) && value >= least && value <= most) return value;
  throw new LinkError(`${name} must be a number from ${least} to ${most}; it is "${given}".`);
}

function readPerson(options: URLSearchParams, name: string): TestPerson {
  const even = (size: number) => Math.round(size / 2) * 2;
  return {
    name: options.get('name') ?? (name || 'Test person'),
    hue: numberOption(options, 'hue', 170, 0, 360),
    toneHz: numberOption(options, 'tone', 440, 50, 4_000),
    width: even(numberOption(options, 'width', 640, 160, 1920)),
    height: even(numberOption(options, 'height', 360, 90, 1080)),
    fps: numberOption(options, 'fps', 15, 1, 60),
  };
}

async function publishPage(): Promise<void> {
  const { token, name, hidden, mayPublish, options } = readLink(location.search);
  if (!mayPublish) throw new LinkError('This link is for watching only. Ask for one that lets you take part.');
  const isSynthetic = options.get('source') === 'synthetic';
  const person = isSynthetic ? readPerson(options, name) : null;
  const codec = options.get('codec') === 'h264' ? 'h264' : 'vp8';
  // Watching costs more than publishing: many synthetic people on one machine leave it.
  const watches = options.get('watch') !== '0';
  let room: RoomClient | null = null;
  let synthetic: TestSource | null = null;
  let tracks: LocalTrack[] = [];
  const silenced = new Set<Source>();

  const show = createShow({
    ...{ stage: element('stage'), hint: element('sound'), layout: 'speaker' as const },
    receiving: () => room?.receiving() ?? null,
  });
  window.tapedeck = {
    state: () => ({
      connected: room?.connection.state === 'connected',
      publishing: room?.isPublished ?? false,
      participants: show.state(),
    }),
  };

  element('join').addEventListener('click', () => act(room ? leave : join));
  element('screen').addEventListener('click', () => act(toggleScreen));
  for (const source of ['camera', 'microphone'] as const)
    element(source).addEventListener('click', () => act(() => silence(source)));
  for (const id of ['cameras', 'microphones']) element(id).addEventListener('change', () => act(changeDevices));
  for (const id of ['cameras', 'microphones']) element(id).hidden = isSynthetic;
  draw();
  if (options.get('autojoin') === '1') act(join);
  else if (!isSynthetic) act(preview);

  /** Says what went wrong instead of doing nothing. */
  function act(work: () => Promise<void> | void): void {
    Promise.resolve()
      .then(work)
      .catch((error: Error) => {
        element('status').textContent = error.message;
        if (!(error instanceof DeviceError)) console.error(error);
      })
      .finally(draw);
  }

  async function preview(): Promise<void> {
    if (tracks.some(({ source }) => source !== 'screen')) return;
    if (person) {
      synthetic = startTestSource(person);
      tracks = [
        { track: synthetic.audio, source: 'microphone' },
        { track: synthetic.video, source: 'camera' },
        ...tracks,
      ];
    } else {
      tracks = [...(await openCameraAndMicrophone(chosenDevices())), ...tracks];
      await offerDevices();
    }
    draw();
  }

  async function join(): Promise<void> {
    await preview().catch((error: Error) => {
      // Whoever shares a screen alone needs no camera.
      if (tracks.length === 0) throw error;
    });
    room = joinRoom({
      ...{ url: signallingUrl(location, token, false), hidden, watches, codec, keepSize: isSynthetic },
      onChange: () => draw(),
    });
    for (const source of silenced) await room.send(source, false);
    await room.publish(tracks);
  }

  function leave(): void {
    room?.leave();
    room = null;
    synthetic?.stop();
    synthetic = null;
    for (const { track } of tracks) track.stop();
    tracks = [];
  }

  async function silence(source: 'camera' | 'microphone'): Promise<void> {
    const sends = silenced.has(source);
    if (sends) silenced.delete(source);
    else silenced.add(source);
    for (const each of tracks) if (each.source === source) each.track.enabled = sends;
    await room?.send(source, sends);
  }

  async function toggleScreen(): Promise<void> {
    const shared = tracks.find(({ source }) => source === 'screen');
    if (shared) {
      shared.track.stop();
      tracks = tracks.filter((each) => each !== shared);
    } else {
      const screen = await openScreen();
      tracks = [...tracks, screen];
      // The browser has a button of its own that ends it.
      screen.track.addEventListener('ended', () => {
        if (tracks.includes(screen)) act(toggleScreen);
      });
    }
    await room?.publish(tracks);
  }

  async function changeDevices(): Promise<void> {
    const opened = await openCameraAndMicrophone(chosenDevices());
    const old = tracks;
    tracks = [...opened, ...old.filter(({ source }) => source === 'screen')];
    for (const { track, source } of opened) track.enabled = !silenced.has(source);
    await room?.publish(tracks);
    for (const { track } of old) if (!tracks.some((each) => each.track === track)) track.stop();
  }

  function chosenDevices() {
    const chosen = (id: string) => element(id).querySelector('select')?.value ?? '';
    return { camera: chosen('cameras'), microphone: chosen('microphones') };
  }

  async function offerDevices(): Promise<void> {
    for (const [id, kind, source] of [
      ['cameras', 'videoinput', 'camera'],
      ['microphones', 'audioinput', 'microphone'],
    ] as const) {
      const used = tracks.find((each) => each.source === source)?.track.getSettings().deviceId;
      const choices = (await listDevices(kind)).map((each) => new Option(each.label, each.id, false, each.id === used));
      element(id)
        .querySelector('select')
        ?.replaceChildren(...choices);
      element(id).hidden = choices.length < 2;
    }
  }

  function draw(): void {
    const own = tracks
      .filter(({ track }) => track.kind === 'video')
      .map(({ track, source }): Figure => {
        const shown = person?.name ?? name;
        return {
          key: `own ${source}`,
          mediaId: 'own',
          name: `${shown} (you)`.trim(),
          screen: source === 'screen',
          video: track,
        };
      });
    show.update(room?.participants() ?? [], own);
    const connection = room?.connection;
    if (connection?.state === 'refused') stop(connection.message);
    element('join').textContent = room ? 'Leave' : 'Join';
    element('join').classList.toggle('strong', !room);
    for (const source of ['camera', 'microphone'] as const)
      element(source).setAttribute('aria-pressed', String(!silenced.has(source)));
    const sharing = tracks.some(({ source }) => source === 'screen');
    element('screen').setAttribute('aria-pressed', String(sharing));
    element('screen').textContent = sharing ? 'Stop sharing' : 'Share screen';
    const others = show.state().length;
    if (!connection) element('status').textContent ||= 'You are not in the room yet.';
    else if (connection.state === 'connecting') element('status').textContent = 'Connecting …';
    else element('status').textContent = others === 0 ? 'Live. Nobody else is here yet.' : `Live, with ${others} more.`;
  }
}
