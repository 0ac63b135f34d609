/** Writes a tar from files on disk without holding them in memory, and tells the checksum of each. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';

export interface TarWriter {
  /** Appends a file under a name. Answers its SHA-256. Throws when it cannot be read or written, or the signal's reason. */
  add(name: string, file: string, modifiedAt: Date): Promise<Buffer>;
  addText(name: string, text: string, modifiedAt: Date): Promise<void>;
  /** Resolves when all of it is written. */
  close(): Promise<void>;
}

/** Begins the file anew. One entry at a time. */
export function writeTar(output: string, signal?: AbortSignal): TarWriter {
  const tar = pack();
  const written = pipeline(tar, createWriteStream(output), { signal });
  written.catch(() => {});

  /** Whatever is waited for ends when the output does: a full disk must not wait for ever. */
  const orFailure = <T>(work: Promise<T>): Promise<T> =>
    Promise.race([work, written.then(() => Promise.reject(new Error(`${output} was closed before it was complete.`)))]);

  async function addEntry(name: string, size: number, mtime: Date, chunks: AsyncIterable<Buffer> | Iterable<Buffer>) {
    const hash = createHash('sha256');
    let settle: (error?: Error | null) => void = () => {};
    const done = new Promise<void>((resolve, reject) => {
      settle = (error) => (error ? reject(error) : resolve());
    });
    done.catch(() => {});
    const entry = tar.entry({ name, size, mtime, mode: 0o644 }, (error) => settle(error));
    for await (const chunk of chunks) {
      hash.update(chunk);
      if (!entry.write(chunk)) await orFailure(once(entry, 'drain'));
    }
    entry.end(null);
    await orFailure(done);
    return hash.digest();
  }

  return {
    async add(name, file, modifiedAt) {
      const { size } = await stat(file);
      return addEntry(name, size, modifiedAt, createReadStream(file, { highWaterMark: 1 << 20, signal }));
    },
    async addText(name, text, modifiedAt) {
      const bytes = Buffer.from(text);
      await addEntry(name, bytes.length, modifiedAt, [bytes]);
    },
    async close() {
      tar.finalize();
      await written;
    },
  };
}
