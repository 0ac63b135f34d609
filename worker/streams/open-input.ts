/** What every input is once it is open: how ffmpeg is to read it, and what is known of it besides. */
import type { MediaServerAddress } from '../../src/config.js';
import type { EgressPolicy, LinkStats } from '../../src/jobs/capture.js';
import type { JobFailure } from '../../src/jobs/reasons.js';
import type { RecordingConfig } from '../../src/recordings/config.js';

export interface InputOptions {
  recording: RecordingConfig;
  /** Address of this machine at which inputs are listened for. */
  listenAddress: string;
  /** What may be reached. */
  egress: EgressPolicy;
  /** Folder of the incarnation. */
  folder: string;
  /** Number of the part that is read from it; names the files beside it. */
  part: number;
  /** One line for the host's log. */
  note: (text: string) => void;
  /** Told of everything that the gate refused: what, and why. */
  onRefused: (text: string) => void;
  tools: { ffmpeg: string };
  /** Where participants are; null: no media server is known. */
  mediaServer: MediaServerAddress | null;
  /** Ends waiting for the source. */
  signal: AbortSignal;
}

export interface OpenInput {
  /** ffmpeg's options for the input, `-i` and its address at their end. */
  args: string[];
  /** ffmpeg's standard input, where it reads from that: closed by `close`. */
  stdin: number | null;
  /** Another ffmpeg may read on from standard input where one has ended. */
  resumable: boolean;
  /** Bitstream filter that pictures must pass when they are copied; null: none. */
  pictureFilter: string | null;
  /** Totals of this input; null where the link is not measured. */
  link(): LinkStats | null;
  /** What was said in front of ffmpeg, to be read together with its log. */
  log(): string;
  /** Whether anything has come through standard input; left out where that is not known. */
  hasCome?(): boolean;
  /** The source itself has said that it is over; left out where it never says so. */
  isOver?(): boolean;
  /** Why the source does not let us in, or was not let in by us, as far as can be told now; null: it was not so. */
  refusedBy(log: string): JobFailure | null;
  /** To be called when ffmpeg has started; resolves when it is sent to. Left out where it fetches everything itself. */
  begun?(pid: number): Promise<void>;
  /** Ends it: what reads from standard input then ends by itself, in good order. Never throws; later calls do nothing. */
  close(): Promise<void>;
}

/** An input that nothing is known of but its arguments. */
export const plainInput = (args: string[]): OpenInput => ({
  args,
  stdin: null,
  resumable: false,
  pictureFilter: null,
  link: () => null,
  log: () => '',
  refusedBy: () => null,
  close: async () => {},
});

/**
 * Long enough to meet a key frame in any stream, wherever it is joined: with less, half of all attempts to join a stream of 2 s
 * between key frames failed. What is read meanwhile is recorded, so it costs nothing.
 */
export const probing = ['-analyzeduration', '5000000', '-probesize', '10000000'];

/**
 * Of a transport stream. Left to itself, ffmpeg looks out for further programs for all of that time, and keeps back what has come:
 * 5.3 s of a stream that it knows after 0.8 s, all of which would be lost with it.
 */
export const probingTs = [...probing, '-scan_all_pmts', '0'];

/** A peer that sends nothing for so long is gone; ffmpeg then ends. Microseconds. */
export const silenceUs = '10000000';

/**
 * RTP tells when pictures are to be shown, and not when they are to be decoded: with B-frames, ffmpeg loses the time of the very
 * first, and Matroska then takes none. It is shown at most 0.15 s before the one that follows it in the stream.
 */
export const timeOfFirst = 'setts=pts=if(eq(PTS\\,NOPTS)\\,max(0\\,NEXT_PTS-0.15/TB)\\,PTS)';
