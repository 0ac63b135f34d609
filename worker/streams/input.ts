/** Opens a live input for ffmpeg. */
import type { EgressPolicy, HostSpec, LinkStats } from '../../src/jobs/capture.js';
import type { RecordingConfig } from '../../src/recordings/config.js';

export interface OpenInput {
  /** ffmpeg's options for it, ending with `-i` and its address. */
  args: string[];
  /** What ffmpeg's environment has besides the usual. */
  env: Record<string, string>;
  /** Figures of the SRT link; null where there are none. */
  link(): LinkStats | null;
  /** Why whoever sends is not to be recorded, from what ffmpeg has logged; null: nothing speaks against it. */
  refusedBy(log: string): string | null;
  /** ffmpeg is running: begin to send to it. */
  begun?(pid: number): Promise<void>;
  /** Resolves when the input has ended, where ffmpeg would not notice. */
  ended?: Promise<void>;
  close(): Promise<void>;
}

export interface InputOptions {
  recording: RecordingConfig;
  listenAddress: string;
  egress: EgressPolicy;
  folder: string;
  part: number;
  note: (text: string) => void;
  onRefused: (text: string) => void;
  tools: HostSpec['tools'];
  signal: AbortSignal;
}

export async function openInput({ recording, listenAddress }: InputOptions): Promise<OpenInput> {
  const { type, listenPort, url } = recording.input;
  const probing = ['-analyzeduration', '5000000', '-probesize', '10000000'];
  const address =
    type === 'UDP' ? `udp://${listenAddress}:${listenPort}?fifo_size=100000&overrun_nonfatal=1` : (url as string);
  return {
    args: [...probing, '-i', address],
    env: {},
    link: () => null,
    refusedBy: () => null,
    close: async () => {},
  };
}
