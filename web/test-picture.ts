/**
 * What a synthetic person looks and sounds like: a colour, a name and moving things for people; numbers, flashes and tones for
 * machines. `test/testkit/media-card.ts` knows the same strip: 24 cells at the bottom, least significant bit first, 20 bits of
 * a number and 4 check bits; above it a bar that flashes once a second with the beep.
 */

export interface TestPerson {
  name: string;
  /** Degrees on the colour wheel. */
  hue: number;
  /** The steady tone; the beep is two octaves above it. */
  toneHz: number;
  width: number;
  height: number;
  fps: number;
}

export interface TestSource {
  video: MediaStreamTrack;
  audio: MediaStreamTrack;
  stop(): void;
}

const numberBits = 20;
const checkBits = 4;
const cells = numberBits + checkBits;
const beepSeconds = 0.05;
const flashSeconds = 0.1;
const octavesToBeep = 2;
// Three people whose beeps meet stay below full scale.
const toneAmplitude = 0.1;
const beepAmplitude = 0.2;

/** Starts both; without a click before, the browser may keep the sound silent until there is one. */
export function startTestSource(person: TestPerson): TestSource {
  const context = new AudioContext();
  const resume = () => void context.resume();
  addEventListener('pointerdown', resume);
  const { audio, beganAt, epochSeconds } = startSound(context, person);
  const canvas = Object.assign(document.createElement('canvas'), { width: person.width, height: person.height });
  const pen = canvas.getContext('2d', { alpha: false }) as CanvasRenderingContext2D;
  const [video] = canvas.captureStream(0).getVideoTracks() as [CanvasCaptureMediaStreamTrack];
  const opened = { seconds: Date.now() / 1000, at: performance.now() / 1000 };
  let timer: ReturnType<typeof setTimeout> | undefined;
  tick();

  return {
    ...{ video, audio },
    stop() {
      clearTimeout(timer);
      removeEventListener('pointerdown', resume);
      video.stop();
      audio.stop();
      void context.close();
    },
  };

  /**
   * The clock of the sound, as seconds since 1970: all pages of a machine show the same number at the same time. What is
   * rendered ahead of what is heard reaches the encoder that much later than a picture, too.
   */
  function now(): number {
    const { contextTime = 0, performanceTime = 0 } = context.state === 'running' ? context.getOutputTimestamp() : {};
    const heard = contextTime + (performance.now() - performanceTime) / 1000;
    if (performanceTime > 0 && heard >= beganAt) return epochSeconds + heard - beganAt;
    return opened.seconds + performance.now() / 1000 - opened.at;
  }

  function tick(): void {
    const seconds = now();
    drawTestPicture(pen, person, seconds);
    video.requestFrame();
    // Each picture begins with its number, so that flashes begin with their seconds.
    const rest = 1 / person.fps - (now() % (1 / person.fps));
    timer = setTimeout(tick, Math.max(1, rest * 1000 + 0.5));
  }
}

/** One second of tone and beep, repeated by the sound engine itself, so that no timer can be late. */
function startSound(context: AudioContext, { toneHz }: TestPerson) {
  const rate = context.sampleRate;
  const second = context.createBuffer(1, rate, rate);
  const samples = second.getChannelData(0);
  const beepHz = toneHz * 2 ** octavesToBeep;
  for (let i = 0; i < rate; i++) {
    const t = i / rate;
    samples[i] = toneAmplitude * Math.sin(2 * Math.PI * toneHz * t);
    if (t < beepSeconds) samples[i] = (samples[i] as number) + beepAmplitude * Math.sin(2 * Math.PI * beepHz * t);
  }
  const source = Object.assign(context.createBufferSource(), { buffer: second, loop: true });
  const destination = context.createMediaStreamDestination();
  source.connect(destination);
  const clockSeconds = Date.now() / 1000 - context.currentTime;
  const epochSeconds = Math.ceil(Date.now() / 1000 + 0.2);
  const beganAt = epochSeconds - clockSeconds;
  source.start(beganAt);
  const [audio] = destination.stream.getAudioTracks() as [MediaStreamTrack];
  return { audio, beganAt, epochSeconds };
}

/** `seconds`: since 1970. */
function drawTestPicture(pen: CanvasRenderingContext2D, person: TestPerson, seconds: number): void {
  const { name, hue, width, height, fps } = person;
  // A little more than half a tick: what is drawn a hair early belongs to the tick that begins.
  const number = Math.floor(seconds * fps + 0.05) % 2 ** numberBits;
  const cellWidth = Math.floor(width / cells);
  const stripHeight = Math.max(12, Math.round(height / 30));
  const stage = height - 3 * stripHeight;
  pen.fillStyle = `hsl(${hue} 65% 42%)`;
  pen.fillRect(0, 0, width, stage);

  const turn = (number / fps) * Math.PI;
  pen.fillStyle = `hsl(${hue} 75% 60%)`;
  pen.beginPath();
  pen.arc(width * (0.5 + 0.36 * Math.sin(turn / 2)), stage * 0.74, stage * 0.1, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = '#fff';
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.font = `700 ${Math.round(stage * 0.2)}px system-ui, sans-serif`;
  pen.fillText(name, width / 2, stage * 0.36, width * 0.9);
  pen.font = `600 ${Math.round(stage * 0.1)}px monospace`;
  pen.fillText(String(number).padStart(7, '0'), width / 2, stage * 0.56);

  const isLit = (seconds + 0.05 / fps) % 1 < flashSeconds;
  pen.fillStyle = isLit ? '#fff' : '#000';
  pen.fillRect(0, stage, width, 2 * stripHeight);
  let check = 15;
  for (let rest = number; rest > 0; rest >>>= 4) check ^= rest & 15;
  const word = number + check * 2 ** numberBits;
  pen.fillStyle = '#000';
  pen.fillRect(0, height - stripHeight, width, stripHeight);
  pen.fillStyle = '#fff';
  for (let bit = 0; bit < cells; bit++)
    if ((word >>> bit) & 1) pen.fillRect(bit * cellWidth, height - stripHeight, cellWidth, stripHeight);
}
