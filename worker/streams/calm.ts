/** Reading media from a connection a few times a second, rather than each time that a packet comes: most of what that costs is waking up. */
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';

/** Nobody sees a recording sooner than some seconds later. */
const pauseMs = 60;
/** More than this at once, and the system's own buffer could become full. */
const manyBytes = 32_768;

/** To be called when something was read; what comes next is read a little later, if it may be then. */
export function readLater(socket: Socket, bytes: Buffer, mayRead: () => boolean = () => true): void {
  if (bytes.length >= manyBytes) return;
  socket.pause();
  setTimeout(() => mayRead() && socket.resume(), pauseMs);
}

/** Passes on all that comes, no faster than it is taken; ends with it. */
export function passOnCalmly(from: Socket, to: Writable): void {
  from.on('data', (bytes: Buffer) => {
    if (to.write(bytes)) {
      readLater(from, bytes);
      return;
    }
    from.pause();
    to.once('drain', () => from.resume());
  });
  from.once('end', () => to.end());
}
