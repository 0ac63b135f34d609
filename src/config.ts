/** The settings of every process. The only file that reads the environment; `.env.example` lists the same names. */
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)));

const port = z.coerce.number().int().min(0).max(65535);
const seconds = (fallback: number, most: number) => z.coerce.number().int().min(1).max(most).default(fallback);
const portRange = (least: number) =>
  z
    .string()
    .regex(/^\d{4,5}-\d{4,5}$/, 'must be a range such as 40000-40999')
    .refine((range) => {
      const [first, last] = range.split('-').map(Number) as [number, number];
      return last <= 65_535 && last - first >= least - 1;
    }, `must hold at least ${least} ports, up to 65535`);
const list = z
  .string()
  .transform((text) => text.split(',').map((item) => item.trim()))
  .transform((items) => items.filter(Boolean));

/** One entry a setting, in the order `.env.example` shows them. */
export const settings = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  DATA_DIR: z.string().default('.data'),

  HOST: z.string().default('127.0.0.1'),
  PORT: port.default(4000),
  PUBLIC_URL: z.url().optional(),

  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  POSTGRES_PORT: port.default(54329),

  TEMPORAL_ADDRESS: z.string().optional(),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  TEMPORAL_PORT: port.default(7233),
  TEMPORAL_UI_PORT: port.default(8233),
  TEMPORAL_CLI_PATH: z.string().optional(),

  // 0.7 to 0.95 of a core records one page at 1280x720 and 30 frames a second.
  RECORDER_SLOTS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(Math.max(1, Math.floor(availableParallelism() / 0.8))),
  CHROMIUM_PATH: z.string().default('chromium'),
  FFMPEG_PATH: z.string().default('ffmpeg'),
  FFPROBE_PATH: z.string().default('ffprobe'),
  BROWSER_USER: z.string().default('nobody'),

  JANUS_URL: z.url({ protocol: /^wss?$/ }).optional(),
  JANUS_API_SECRET: z.string().optional(),
  JANUS_ADMIN_KEY: z.string().optional(),
  JANUS_PORT: port.default(8188),
  MEDIA_ADDRESS: z.ipv4().optional(),
  MEDIA_EVENTS_PORT: port.default(8189),
  MEDIA_UDP_PORTS: portRange(100).default('40000-41999'),
  RTMP_PORT: port.default(1935),
  SRT_PORT: port.default(8890),
  RTSP_PORT: port.default(8554),
  INGEST_API_PORT: port.default(9997),
  INGEST_AUTH_PORT: port.default(9996),
  INGEST_SECRET: z.string().optional(),
  SESSION_GRACE_SECONDS: seconds(60, 3600),

  INPUT_ADDRESS: z.ipv4().default('127.0.0.1'),
  INPUT_HOST: z.string().optional(),
  INPUT_PORTS: portRange(4).default('20000-21999'),
  // To copy a stream of 2 Mbit/s takes 1 to 2 % of a core.
  COPY_SLOTS: z.coerce
    .number()
    .int()
    .min(0)
    .max(10_000)
    .default(25 * availableParallelism()),

  REGION: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, "-" or "_"')
    .default('local'),
  ALLOWED_NETWORKS: list.optional(),

  QUEUE_TIMEOUT_SECONDS: seconds(1800, 604_800),
  TASK_QUEUE_TIMEOUT_SECONDS: seconds(30, 604_800),
  LAUNCH_RESERVE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
  STANDBY_TIMEOUT_SECONDS: seconds(900, 86_400),
  PAUSE_TIMEOUT_SECONDS: seconds(3600, 86_400),
  // Below that, a worker that is only slow to beat or to start again would be given up.
  MACHINE_TIMEOUT_SECONDS: z.coerce.number().int().min(10).max(600).default(60),
  // Two loads and a browser launch must fit into the 180 s that a job may be starting.
  PAGE_LOAD_TIMEOUT_SECONDS: seconds(30, 60),
  DOWNLOAD_URL_SECONDS: seconds(3600, 604_800),
  FILE_REMINDER_HOURS: z.coerce.number().min(0).max(8_760).default(24),
  EVENT_RETENTION_HOURS: z.coerce.number().min(1).max(87_600).default(168),
  // 10,000 sockets with a subscription each take about 0.6 GB.
  CONNECTIONS_PER_KEY: z.coerce.number().int().min(1).max(1_000_000).default(10_000),

  DISK_RESERVE_MB: z.coerce.number().int().min(16).max(1_000_000).default(512),
  PARTS_RETENTION_HOURS: z.coerce.number().min(0).max(8_760).default(0),
  FAILED_PARTS_RETENTION_HOURS: z.coerce.number().min(1).max(8_760).default(168),

  S3_BUCKET: z.string().optional(),
  S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  S3_REGION: z.string().default('us-east-1'),
  S3_PREFIX: z
    .string()
    .regex(/^([A-Za-z0-9_-][A-Za-z0-9._-]*\/)*$/, 'must be empty, or folders that each end in "/"')
    .default(''),
  S3_ACCESS_KEY_ID: z.string().optional(),
  S3_SECRET_ACCESS_KEY: z.string().optional(),
  S3_PATH_STYLE: z.stringbool().default(false),
});

export type Config = ReturnType<typeof loadConfig>;

/** A setting that is missing or malformed, in words that name the variable. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** Half of a storage would only be noticed when the first file is to be kept, and then in other words. */
function checkStorage(env: z.infer<typeof settings>, context: z.RefinementCtx): void {
  const refuse = (name: keyof typeof env, message: string) =>
    context.addIssue({ code: 'custom', path: [name], message });
  const { S3_BUCKET: bucket, S3_ACCESS_KEY_ID: key, S3_SECRET_ACCESS_KEY: secret } = env;
  if (key && !secret) refuse('S3_SECRET_ACCESS_KEY', 'is missing, S3_ACCESS_KEY_ID is set. Set both or none');
  if (secret && !key) refuse('S3_ACCESS_KEY_ID', 'is missing, S3_SECRET_ACCESS_KEY is set. Set both or none');
  const names = ['S3_ENDPOINT', 'S3_PREFIX', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const;
  const alone = names.filter((name) => env[name]);
  if (!bucket && alone.length > 0)
    refuse('S3_BUCKET', `is missing, ${alone.join(', ')} ${alone.length > 1 ? 'are' : 'is'} set. Name the bucket too`);
}

/** Settings with which a process keeps files in its data directory, whatever `.env` says of a bucket. */
export const noBucket: Partial<Record<keyof typeof settings.shape, string>> = {
  S3_BUCKET: '',
  S3_ENDPOINT: '',
  S3_PREFIX: '',
  S3_ACCESS_KEY_ID: '',
  S3_SECRET_ACCESS_KEY: '',
};

/**
 * Reads and checks the settings; relative paths are relative to the project folder.
 * A `.env` file in the project folder is read first, the environment wins. Throws ConfigError.
 */
export function loadConfig(environment: NodeJS.ProcessEnv = { ...readEnvFile(), ...process.env }) {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = settings.superRefine(checkStorage).safeParse(given);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`Settings are not usable:\n  ${issues.join('\n  ')}`);
  }
  const env = parsed.data;
  const development = env.NODE_ENV !== 'production';
  const publicUrl = env.PUBLIC_URL ?? `http://${env.HOST.includes(':') ? `[${env.HOST}]` : env.HOST}:${env.PORT}`;
  return {
    development,
    logLevel: env.LOG_LEVEL,
    projectRoot,
    /** Absolute. Everything that must survive a restart, the embedded databases included. */
    dataDir: resolve(projectRoot, env.DATA_DIR),
    host: env.HOST,
    port: env.PORT,
    /** Base of every URL given to clients, without a trailing slash. */
    publicUrl: publicUrl.replace(/\/$/, ''),
    /** Undefined: the embedded Postgres is used. */
    databaseUrl: env.DATABASE_URL,
    postgresPort: env.POSTGRES_PORT,
    temporal: {
      /** Undefined: the embedded development server is used. */
      address: env.TEMPORAL_ADDRESS,
      namespace: env.TEMPORAL_NAMESPACE,
      port: env.TEMPORAL_PORT,
      uiPort: env.TEMPORAL_UI_PORT,
      cliPath: env.TEMPORAL_CLI_PATH,
    },
    recorder: {
      slots: env.RECORDER_SLOTS,
      /** How many streams are recorded at once that are copied as they come. */
      copySlots: env.COPY_SLOTS,
      chromium: env.CHROMIUM_PATH,
      ffmpeg: env.FFMPEG_PATH,
      ffprobe: env.FFPROBE_PATH,
      /** The user that browsers, displays and sound servers run as when the worker is root. */
      browserUser: env.BROWSER_USER,
    },
    media: {
      /** WebSocket address of the Janus API. Undefined: the embedded media server is used. */
      url: env.JANUS_URL,
      /** What opens that API. */
      apiSecret: env.JANUS_API_SECRET,
      /** What lets rooms be made there, and streams be forwarded. */
      adminKey: env.JANUS_ADMIN_KEY,
      port: env.JANUS_PORT,
      /** Undefined: the first address of this machine that is not loopback. Where the media server exchanges media with browsers. */
      address: env.MEDIA_ADDRESS,
      /** Where the media server reports what happens, on 127.0.0.1. */
      eventsPort: env.MEDIA_EVENTS_PORT,
      /** First and last UDP port of browsers' media. */
      udpPorts: env.MEDIA_UDP_PORTS,
      rtmpPort: env.RTMP_PORT,
      srtPort: env.SRT_PORT,
    },
    /** The server that encoders send to, on this machine. */
    ingest: {
      /** What opens its API. Undefined: there is none. */
      secret: env.INGEST_SECRET,
      /** On 127.0.0.1: where it is read, where its API is, and where it asks who may send. */
      rtspPort: env.RTSP_PORT,
      apiPort: env.INGEST_API_PORT,
      authPort: env.INGEST_AUTH_PORT,
    },
    /** Where recorders listen for the inputs of recordings. */
    inputs: {
      /** Address of the machine that records. */
      address: env.INPUT_ADDRESS,
      /** The name that others reach it by; undefined: the host of `publicUrl`. */
      host: env.INPUT_HOST,
      /** First and last port, each for TCP and UDP. */
      ports: env.INPUT_PORTS.split('-').map(Number) as [number, number],
    },
    /** A session ends when nobody has published for this long. */
    sessionGraceMs: env.SESSION_GRACE_SECONDS * 1000,
    /** Where this installation is: files of tasks may be named by it. */
    region: env.REGION,
    /** Private address ranges (CIDR) that clients' URLs may reach; loopback in development, none in production. */
    allowedNetworks: env.ALLOWED_NETWORKS ?? (development ? ['127.0.0.0/8', '::1/128'] : []),
    queueTimeoutMs: env.QUEUE_TIMEOUT_SECONDS * 1000,
    /** The same of tasks. */
    taskQueueTimeoutMs: env.TASK_QUEUE_TIMEOUT_SECONDS * 1000,
    /** So long before the launch of a scheduled job a place is kept for it. */
    launchReserveMs: env.LAUNCH_RESERVE_SECONDS * 1000,
    standbyTimeoutMs: env.STANDBY_TIMEOUT_SECONDS * 1000,
    pauseTimeoutMs: env.PAUSE_TIMEOUT_SECONDS * 1000,
    /** A machine that is silent for this long is lost: its jobs go on elsewhere. */
    machineTimeoutMs: env.MACHINE_TIMEOUT_SECONDS * 1000,
    pageLoadTimeoutMs: env.PAGE_LOAD_TIMEOUT_SECONDS * 1000,
    downloadUrlMs: env.DOWNLOAD_URL_SECONDS * 1000,
    /** So long before a file is removed by itself it is said that it will be. */
    fileReminderMs: env.FILE_REMINDER_HOURS * 3_600_000,
    /** How long events are kept to resume streams from. */
    eventRetentionMs: env.EVENT_RETENTION_HOURS * 3_600_000,
    /** Sockets and server-sent streams that one API key or job token may have open on one API process. */
    connectionsPerKey: env.CONNECTIONS_PER_KEY,
    /** Kept free on the disk that parts are written to. */
    diskReserveBytes: env.DISK_RESERVE_MB * 1_048_576,
    /** How long parts are kept after their files were made. */
    partsRetentionMs: env.PARTS_RETENTION_HOURS * 3_600_000,
    /** How long parts are kept of which no files could be made. */
    failedPartsRetentionMs: env.FAILED_PARTS_RETENTION_HOURS * 3_600_000,
    /** Null: files are kept in the data directory, and parts on the machine that records them only. */
    s3: env.S3_BUCKET
      ? {
          bucket: env.S3_BUCKET,
          /** Undefined: Amazon's own. */
          endpoint: env.S3_ENDPOINT,
          region: env.S3_REGION,
          /** Empty, or folders that each end in a slash. */
          prefix: env.S3_PREFIX,
          /** Undefined: found as the AWS SDK does, in the environment, the instance's role and so on. */
          credentials:
            env.S3_ACCESS_KEY_ID && env.S3_SECRET_ACCESS_KEY
              ? { accessKeyId: env.S3_ACCESS_KEY_ID, secretAccessKey: env.S3_SECRET_ACCESS_KEY }
              : undefined,
          pathStyle: env.S3_PATH_STYLE,
        }
      : null,
  };
}

/** The name under which those who send to inputs of recordings reach this machine. */
export function inputHostOf({ inputs, publicUrl }: Pick<Config, 'inputs' | 'publicUrl'>): string {
  return inputs.host ?? new URL(publicUrl).hostname.replace(/^\[|\]$/g, '');
}

/** The database address; throws ConfigError in a process that needs one and was given none. */
export function requireDatabaseUrl(config: Config): string {
  if (!config.databaseUrl)
    throw new ConfigError('DATABASE_URL is not set. `npm start` sets it for the embedded Postgres.');
  return config.databaseUrl;
}

/** The Temporal address; throws ConfigError in a process that needs one and was given none. */
export function requireTemporalAddress(config: Config): string {
  if (!config.temporal.address) {
    throw new ConfigError('TEMPORAL_ADDRESS is not set. `npm start` sets it for the embedded server.');
  }
  return config.temporal.address;
}

/** Where the media server is, and what opens it. */
export interface MediaServerAddress {
  url: string;
  apiSecret: string;
  adminKey: string;
}

/** Null where no media server is configured; throws ConfigError where one is in part. */
export function mediaServerIfAny(config: Config): MediaServerAddress | null {
  const { url, apiSecret, adminKey } = config.media;
  return url || apiSecret || adminKey ? requireMediaServer(config) : null;
}

/** Throws ConfigError in a process that needs the media server and was not told of one. */
export function requireMediaServer(config: Config): MediaServerAddress {
  const { url, apiSecret, adminKey } = config.media;
  if (!url || !apiSecret || !adminKey) {
    throw new ConfigError(
      'JANUS_URL, JANUS_API_SECRET and JANUS_ADMIN_KEY are not all set. `npm start` sets them for the embedded media server.',
    );
  }
  return { url, apiSecret, adminKey };
}

/** The environment of a process of ours: this one's, with settings, and how Node is to run it, replaced. */
export function childEnvironment(
  overrides: Partial<Record<keyof typeof settings.shape | 'NODE_OPTIONS', string>>,
): NodeJS.ProcessEnv {
  return { ...process.env, ...overrides };
}

/** The environment of a process that handles strangers' material: no address and no secret of ours. */
export function strangerEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { PATH, LANG, TZ, TMPDIR } = process.env;
  return { PATH, LANG: LANG ?? 'C.UTF-8', TZ, TMPDIR, ...extra };
}

/** The environment of a recorder host, whose own children get `strangerEnvironment`: where to ship parts to, where rooms are, nothing else of ours. */
export function hostEnvironment(): NodeJS.ProcessEnv {
  const needed = Object.entries(process.env).filter(([name]) => /^(S3|AWS|JANUS)_/.test(name));
  const { HOME = '/', NODE_EXTRA_CA_CERTS } = process.env;
  return strangerEnvironment({
    // The AWS SDK looks for credentials in the home folder too.
    HOME,
    // Who signed the certificate of the storage.
    ...(NODE_EXTRA_CA_CERTS ? { NODE_EXTRA_CA_CERTS } : {}),
    ...(Object.fromEntries(needed) as Record<string, string>),
  });
}

/** Keeps the AWS SDK from printing, at its every start, which Node it will need in 2027: package.json pins it until then. */
export function silenceAwsSdk(): void {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
}

/** Creates a folder below the data directory if it is missing, and returns its path. */
export function dataFolder(config: Config, ...names: string[]): string {
  const folder = join(config.dataDir, ...names);
  mkdirSync(folder, { recursive: true });
  // Recordings are nobody else's to read, least of all the browser's user; the data directory itself must let Postgres' user pass.
  if (names.length > 0) chmodSync(folder, 0o700);
  return folder;
}

function readEnvFile(): Record<string, string> {
  const file = join(projectRoot, '.env');
  if (!existsSync(file)) return {};
  const lines = readFileSync(file, 'utf8').split('\n');
  const pairs = lines.map((line) => /^\s*([A-Z_]+)\s*=\s*(.*?)\s*$/.exec(line)).filter((match) => match !== null);
  return Object.fromEntries(
    pairs.map((match) => [match[1] as string, (match[2] as string).replace(/^(['"])(.*)\1$/, '$2')]),
  );
}
