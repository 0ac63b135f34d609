/** What a browser is told by the media server: nothing of watchers, of recorders, and of whom its token hides. */
import { isVisible } from '../media/identity.js';

type Message = Record<string, unknown>;

const lists = ['publishers', 'attendees'] as const;
/** Messages that are about `id`: in the answer to joining it is the listener itself. */
const aboutSomebody: readonly unknown[] = ['event', 'talking', 'stopped-talking'];

/** What of a message may be told; null: nothing. */
export function tellable(message: Message, hidden: ReadonlySet<string>): Message | null {
  const data = dataOf(message);
  if (!data) return message;
  // "ok" is the listener itself, too.
  const isShown = (mediaId: unknown) =>
    typeof mediaId !== 'string' || mediaId === 'ok' || (isVisible(mediaId) && !hidden.has(mediaId));
  const { leaving, unpublished, kicked, joining } = data;
  const about = [leaving, unpublished, kicked, idOf(joining), aboutSomebody.includes(data.videoroom) ? data.id : null];
  if (!about.every(isShown)) return null;
  const shown = { ...data };
  let [kept, taken] = [0, 0];
  for (const list of lists) {
    const people = data[list];
    if (!Array.isArray(people)) continue;
    const visible = people.filter((each) => isShown(idOf(each)));
    shown[list] = visible;
    kept += visible.length;
    taken += people.length - visible.length;
  }
  if (taken === 0) return message;
  // The answer to joining is waited for; news of nobody is no news.
  if (kept === 0 && data.videoroom === 'event') return null;
  return { ...message, plugindata: { ...(message.plugindata as object), data: shown } };
}

/** Why the connection is of no more use, if the message says so. */
export function endIn(message: Message): 'removed' | 'room-gone' | 'session-over' | null {
  if (message.janus === 'timeout') return 'session-over';
  const data = dataOf(message);
  if (data?.videoroom === 'destroyed') return 'room-gone';
  return data?.leaving === 'ok' && data.reason === 'kicked' ? 'removed' : null;
}

function dataOf({ plugindata }: Message): Message | undefined {
  return (plugindata as { data?: Message } | undefined)?.data;
}

const idOf = (person: unknown): unknown => (person as { id?: unknown } | null | undefined)?.id;
