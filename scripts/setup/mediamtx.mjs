/** MediaMTX, the server that encoders send to by RTMP and SRT. */
import { ensureProgram, linesToGet } from './program.mjs';

const version = '1.12.3';
const arch = process.arch === 'x64' ? 'amd64' : process.arch;

/** @type {import('./program.mjs').Program} */
const mediamtx = {
  title: 'MediaMTX',
  name: 'mediamtx',
  version,
  // Where the stack reads it.
  note: 'mediamtx',
  goModule: `github.com/bluenviron/mediamtx@v${version}`,
  goName: 'mediamtx',
  generated: {
    'internal/core/VERSION': `v${version}`,
    // Its page for HLS and its camera of a Raspberry Pi want these; both are switched off here.
    'internal/servers/hls/hls.min.js': '',
    'internal/staticsources/rpicamera/mtxrpicam_32/absent': '',
    'internal/staticsources/rpicamera/mtxrpicam_64/absent': '',
  },
  buildTime: 'about a minute',
  downloadUrl: `https://github.com/bluenviron/mediamtx/releases/download/v${version}/mediamtx_v${version}_linux_${arch}.tar.gz`,
  archived: 'mediamtx',
  // Its settings, its API and the headers of its answers, by which the stack knows it, change from one 1.x to the next.
  isItself: (answer) => /^v1\.12\./.test(answer),
};

/** Everything but encoders in rooms does without it. */
export async function ensureMediamtx() {
  if (await ensureProgram(mediamtx)) return;
  console.warn(
    'Encoders cannot publish into rooms (RTMP, SRT): MediaMTX is missing, and neither its download nor Go 1.21 or newer is at hand. Everything else runs. To get it, do this, then run this again:\n\n  ' +
      `${linesToGet(mediamtx).join('\n  ')}\n`,
  );
}
