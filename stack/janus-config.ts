/** The configuration of the embedded Janus: one plugin, signalling on 127.0.0.1 for those with the secret, media on one address. */

/** Folders with what Janus can load, and the names in them. */
export interface JanusParts {
  plugins: { folder: string; files: string[] };
  transports: { folder: string; files: string[] };
  events: { folder: string; files: string[] };
  loggers: { folder: string; files: string[] };
}

export interface JanusSettings {
  folder: string;
  parts: JanusParts;
  /** By which it is told from another Janus at its port. */
  serverName: string;
  apiSecret: string;
  /** Of an API that is served nowhere; it has a well-known one otherwise. */
  adminSecret: string;
  adminKey: string;
  port: number;
  eventsPort: number;
  /** Where media is exchanged with browsers. */
  address: string;
  /** First and last UDP port of that media. */
  udpPorts: string;
}

type Value = string | number | boolean | string[];
type Group = Record<string, Value>;

/** What may be loaded, of each kind; all else is kept out by name. */
const wanted = {
  plugins: 'libjanus_videoroom.so',
  transports: 'libjanus_websockets.so',
  events: 'libjanus_wsevh.so',
  loggers: '',
} as const satisfies Record<keyof JanusParts, string>;

/** Errors: it warns of each thing that it was told not to load. */
const debugLevel = 2;
/** A session that was silent for this long is over: its participant leaves. */
const sessionTimeoutSeconds = 30;
/** Recordings of its own may go to none of these, whatever is asked. */
const protectedFolders = [
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib64',
  '/opt',
  '/proc',
  '/sbin',
  '/sys',
  '/usr',
  '/var',
];

/** Files by name. */
export function janusConfiguration(settings: JanusSettings): Record<string, string> {
  const { folder, parts, port, eventsPort, address, udpPorts, adminKey } = settings;
  const disabled = (kind: keyof JanusParts) =>
    parts[kind].files.filter((file) => file.endsWith('.so') && file !== wanted[kind]).join(',');
  return {
    'janus.jcfg': text({
      general: {
        configs_folder: folder,
        plugins_folder: parts.plugins.folder,
        transports_folder: parts.transports.folder,
        events_folder: parts.events.folder,
        loggers_folder: parts.loggers.folder,
        debug_level: debugLevel,
        debug_timestamps: false,
        debug_colors: false,
        hide_dependencies: true,
        server_name: settings.serverName,
        api_secret: settings.apiSecret,
        admin_secret: settings.adminSecret,
        session_timeout: sessionTimeoutSeconds,
        // Sessions end with their sockets: a participant who comes back would find the old one still there.
        reclaim_session_timeout: 0,
        candidates_timeout: 10,
        protected_folders: protectedFolders,
      },
      // `no_media_timer`: seconds after which media is reported as missing; `slowlink_threshold`: lost packets a second.
      media: { ipv6: false, rtp_port_range: udpPorts, no_media_timer: 2, slowlink_threshold: 4 },
      nat: { nice_debug: false, ignore_mdns: true, ice_enforce_list: address },
      plugins: { disable: disabled('plugins') },
      transports: { disable: disabled('transports') },
      loggers: { disable: disabled('loggers') },
      events: { broadcast: true, combine_media_stats: true, stats_period: 1, disable: disabled('events') },
    }),
    'janus.transport.websockets.jcfg': text({
      general: {
        ...{ events: false, json: 'compact', pingpong_trigger: 15, pingpong_timeout: 10 },
        ...{ ws: true, ws_port: port, ws_ip: '127.0.0.1', wss: false, ws_logging: 'err' },
      },
      admin: { admin_ws: false, admin_wss: false },
    }),
    'janus.eventhandler.wsevh.jcfg': text({
      general: {
        ...{ enabled: true, events: 'media,plugins', grouping: true, json: 'compact' },
        ...{ backend: `ws://127.0.0.1:${eventsPort}/`, subprotocol: 'janus-events', ws_logging: 'err' },
      },
    }),
    'janus.plugin.videoroom.jcfg': text({
      general: { admin_key: adminKey, lock_rtp_forward: true, events: true, string_ids: true },
    }),
  };
}

function text(groups: Record<string, Group>): string {
  return Object.entries(groups)
    .map(([name, group]) => {
      const lines = Object.entries(group).map(([key, value]) => `  ${key} = ${literal(value)}`);
      return `${name}: {\n${lines.join('\n')}\n}\n`;
    })
    .join('\n');
}

/** Strings are written as in JSON. */
function literal(value: Value): string {
  return Array.isArray(value) ? `[ ${value.map(literal).join(', ')} ]` : JSON.stringify(value);
}
