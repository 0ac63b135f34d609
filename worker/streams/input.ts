/** Opens what a recording is made of, whatever it is: ffmpeg is told what to read, and what stands in front of it is started. */
import { openCalled } from './called.js';
import { openDatagrams } from './datagrams.js';
import type { InputOptions, OpenInput } from './open-input.js';
import { openRtmpServer } from './rtmp-server.js';
import { openRtspServer } from './rtsp-server.js';
import { openSrt } from './srt.js';

/**
 * Throws AddressRefusedError for a source that may not be reached, UnreachableError for one whose name is not known, and an error
 * with the code EADDRINUSE where a port is in use. Waits for a participant until `signal`, whose reason it then throws.
 */
export async function openInput(options: InputOptions): Promise<OpenInput> {
  const { type } = options.recording.input;
  switch (type) {
    case 'SRT_URL':
    case 'SRT_SERVER':
      return openSrt(options);
    case 'RTMP_URL':
    case 'RTSP_URL':
    case 'HLS':
    case 'DASH':
    case 'HTTP_FLV':
      return openCalled(options);
    case 'RTMP_SERVER':
      return openRtmpServer(options);
    case 'RTSP_SERVER':
      return openRtspServer(options);
    case 'UDP':
    case 'RTP':
    case 'RIST':
      return openDatagrams(options);
    case 'PARTICIPANT':
      // All that speaks to a media server is read for this alone.
      return (await import('./participant.js')).openParticipant(options);
    case 'ROOM':
      throw new Error('A room is recorded as the page that shows it.');
  }
}
