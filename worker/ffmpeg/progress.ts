/** Reads what ffmpeg reports about itself while it runs: its `-progress` file and its log, both still growing. */
import { closeSync, openSync, readSync } from 'node:fs';

/** One report of `-progress`; totals of this ffmpeg. */
export interface EncoderProgress {
  frames: number;
  /** Media time written. */
  positionMs: number;
  duplicated: number;
  dropped: number;
}

/** The complete reports in a text, and what is left after them. */
export function parseProgress(text: string): { reports: EncoderProgress[]; rest: string } {
  const reports: EncoderProgress[] = [];
  let rest = text;
  for (;;) {
    const end = /^progress=\w+\n/m.exec(rest);
    if (!end) return { reports, rest };
    const block = rest.slice(0, end.index);
    rest = rest.slice(end.index + end[0].length);
    const value = (name: string) => {
      const number = Number.parseFloat(new RegExp(`^${name}=\\s*(.*)$`, 'm').exec(block)?.[1] ?? '');
      return Number.isFinite(number) ? number : 0;
    };
    reports.push({
      frames: value('frame'),
      // `out_time_ms` is in microseconds too; this name says so.
      positionMs: Math.max(0, Math.round(value('out_time_us') / 1000)),
      duplicated: value('dup_frames'),
      dropped: value('drop_frames'),
    });
  }
}

/** Follows a progress file. `read` answers the newest report, or null before the first. */
export function followProgress(file: string): { read(): EncoderProgress | null } {
  const tail = followFile(file);
  let unread = '';
  let newest: EncoderProgress | null = null;
  return {
    read() {
      const { reports, rest } = parseProgress(unread + tail());
      unread = rest;
      newest = reports.at(-1) ?? newest;
      return newest;
    },
  };
}

/**
 * Wall clock (epoch ms) of media time zero, from ffmpeg's description of its first input, which is the sound device:
 * it stamps what it captures with the wall clock, and everything else is placed relative to it. Null when not there yet.
 */
export function anchorFromLog(log: string): number | null {
  const start = /^Input #0, pulse,[\s\S]*?start: (\d+\.\d+)/m.exec(log)?.[1];
  return start ? Math.round(Number(start) * 1000) : null;
}

/** Answers, at each call, what was appended to the file since the call before. */
export function followFile(file: string): () => string {
  let offset = 0;
  const buffer = Buffer.alloc(65_536);
  return () => {
    let descriptor: number;
    try {
      descriptor = openSync(file, 'r');
    } catch {
      return '';
    }
    try {
      let text = '';
      for (;;) {
        const read = readSync(descriptor, buffer, 0, buffer.length, offset);
        if (read === 0) return text;
        offset += read;
        text += buffer.toString('latin1', 0, read);
      }
    } finally {
      closeSync(descriptor);
    }
  };
}
