/** Which addresses streams may be called at. */
import type { Config } from '../config.js';
import type { InputType } from '../recordings/config.js';

export type StreamUrlCheck = (type: InputType, text: string, field?: string) => Promise<string>;

export function createStreamUrlCheck(_config: Config): StreamUrlCheck {
  return async (_type, text) => text;
}
