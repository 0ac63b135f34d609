/** Where an input is to be sent to: the address, and ready-made settings of the programs that send. */
import { type InputType, isListening, type RecordingInput } from './config.js';

/** What comes before the stream key in the address of an RTMP or RTSP server. */
export const serverApp = 'live';
/** Where each track of an RTP session by description arrives: of every track the port after it is for its reports. */
export const trackPort = (listenPort: number, track: number): number => listenPort + 2 * track;

export interface SendTo {
  /** To be given to the sender as it is: with the key or passphrase that opens the input. */
  url: string;
  /** A line for a shell. */
  command: string;
  /** For OBS Studio; null where it cannot send that way. */
  obs: { server: string; streamKey: string } | null;
}

const media = 'ffmpeg -re -i input.mp4';

/** Null for an input that nobody sends to. `host`: the name that senders reach us by. */
export function sendTo(input: RecordingInput, host: string): SendTo | null {
  const { type, listenPort: port } = input;
  if (!isListening(type)) return null;
  const listening = type as Listening;
  // Whoever sends to a group chose it, and its port.
  const group = input.url === null ? null : new URL(input.url);
  if (group) return addresses[listening](input, group.hostname, Number(group.port));
  return port === null ? null : addresses[listening](input, host.includes(':') ? `[${host}]` : host, port);
}

type Listening = Extract<InputType, 'SRT_SERVER' | 'RTMP_SERVER' | 'RTSP_SERVER' | 'UDP' | 'RTP' | 'RIST'>;

const addresses: Record<Listening, (input: RecordingInput, host: string, port: number) => SendTo> = {
  SRT_SERVER({ passphrase, keyLength }, host, port) {
    const place = `srt://${host}:${port}?mode=caller`;
    const opening = passphrase === null ? '' : `&passphrase=${encoded(passphrase)}&pbkeylen=${keyLength}`;
    // As an option, since ffmpeg takes a passphrase in an address as it is written there.
    const options = passphrase === null ? '' : ` -passphrase ${quoted(passphrase)} -pbkeylen ${keyLength}`;
    return {
      url: place + opening,
      command: `${media} -c copy -f mpegts${options} ${quoted(place)}`,
      obs: { server: place + opening, streamKey: '' },
    };
  },
  RTMP_SERVER({ streamKey }, host, port) {
    const server = `rtmp://${host}:${port}/${serverApp}`;
    const url = `${server}/${streamKey}`;
    return { url, command: `${media} -c copy -f flv ${quoted(url)}`, obs: { server, streamKey: streamKey ?? '' } };
  },
  RTSP_SERVER({ streamKey }, host, port) {
    const url = `rtsp://${host}:${port}/${serverApp}/${streamKey}`;
    return { url, command: `${media} -c copy -f rtsp -rtsp_transport tcp ${quoted(url)}`, obs: null };
  },
  UDP(_input, host, port) {
    const url = `udp://${host}:${port}`;
    return { url, command: `${media} -c copy -f mpegts ${quoted(`${url}?pkt_size=1316`)}`, obs: null };
  },
  RTP({ tracks }, host, port) {
    const url = `rtp://${host}:${port}`;
    if (!tracks) return { url, command: `${media} -c copy -f rtp_mpegts ${quoted(url)}`, obs: null };
    const outputs = tracks.map(({ kind, payloadType }, index) => {
      const letter = kind === 'VIDEO' ? 'v' : 'a';
      const place = quoted(`rtp://${host}:${trackPort(port, index)}`);
      return `-map 0:${letter} -c:${letter} copy -payload_type ${payloadType} -f rtp ${place}`;
    });
    return { url, command: `${media} ${outputs.join(' ')}`, obs: null };
  },
  RIST(_input, host, port) {
    const url = `rist://${host}:${port}`;
    return { url, command: `${media} -c copy -f mpegts ${quoted(url)}`, obs: null };
  },
};

const encoded = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27');
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
