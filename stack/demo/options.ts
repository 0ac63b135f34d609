/** The command line of `npm run demo`. */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  seconds: number;
  /** Undefined: a room with three people in it. */
  url: string | undefined;
  /** Pixels. */
  width: number;
  height: number;
  /** Absolute path of the file to make. */
  out: string;
  json: boolean;
}

/** The command line is not usable; the message says how it should be. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const usage = `Usage: npm run demo -- [options]
  --seconds N    how long to record (10)
  --url URL      a page to record instead of a room with three people in it
  --size WxH     pixels (1280x720)
  --out FILE     where the recording goes (tapedeck-demo.mp4)
  --json         end with one line of JSON`;

/** Throws UsageError. */
export function parseDemoOptions(args: string[]): DemoOptions {
  try {
    const { values } = parseArgs({
      args,
      options: {
        seconds: { type: 'string', default: '10' },
        url: { type: 'string' },
        size: { type: 'string', default: '1280x720' },
        out: { type: 'string', default: 'tapedeck-demo.mp4' },
        json: { type: 'boolean', default: false },
      },
    });
    const size = /^(\d+)x(\d+)$/.exec(values.size);
    if (!size) throw new Error(`--size is ${values.size}, expected something like 1280x720.`);
    if (!/^\d+$/.test(values.seconds)) throw new Error(`--seconds is ${values.seconds}, expected a whole number.`);
    const { url, json } = values;
    const out = resolve(values.out);
    if (!statSync(dirname(out), { throwIfNoEntry: false })?.isDirectory())
      throw new Error(`There is no folder ${dirname(out)}.`);
    if (statSync(out, { throwIfNoEntry: false })?.isDirectory())
      throw new Error(`--out is the folder ${out}, expected a file.`);
    return {
      seconds: Number(values.seconds),
      url,
      width: Number(size[1]),
      height: Number(size[2]),
      out,
      json,
    };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${usage}`);
  }
}
