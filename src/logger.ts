/** The log of a process: JSON lines, one an event, with the process's name in each. */
import { type Logger, pino } from 'pino';
import type { Config } from './config.js';

export function createLogger(config: Config, name: string): Logger {
  return pino({ name, level: config.logLevel, base: { name, pid: process.pid } });
}
