/** A program of its own, which trusts who NODE_EXTRA_CA_CERTS names: records three seconds of an input that is called. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { openInput } from '../../worker/streams/input.js';
import { recordingOf } from './recording-config.js';

const egress = { allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: [] };
const [type, url, file] = process.argv.slice(2) as ['HLS' | 'DASH' | 'HTTP_FLV' | 'RTMP_URL', string, string];
const input = await openInput({
  ...{ recording: recordingOf({ input: { type, url } }), listenAddress: '127.0.0.1', egress },
  ...{ folder: dirname(file), part: 1, note: () => {}, onRefused: (text: string) => console.log(text) },
  ...{ tools: { ffmpeg: 'ffmpeg' }, mediaServer: null, signal: new AbortController().signal },
});
const args = ['-nostdin', '-v', 'warning', '-y', ...input.args, '-map', '0', '-c', 'copy', '-t', '3', file];
const child = spawn('ffmpeg', args, { stdio: ['ignore', 'inherit', 'inherit'] });
const [code] = (await once(child, 'exit')) as [number | null];
console.log(input.log());
await input.close();
process.exit(code ?? 1);
