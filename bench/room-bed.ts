/** A running service with a room in it, and people who cost next to nothing: one ffmpeg sends for all of them what was encoded before. */
import { pino } from 'pino';
import { CreateRoomToken, EnsureRoom } from '../examples/client/operations.js';
import { uuidOf } from '../schema/ids.js';
import { connectMediaServer } from '../src/media/connect.js';
import { isolatedConfig, temporaryDataFolder } from '../stack/isolated.js';
import { type Stack, startStack } from '../stack/stack.js';
import { type ArchiveKit, createArchiveKit } from '../test/testkit/archives.js';
import { filmOf, publishPeople, type RtpPerson } from '../test/testkit/rtp-people.js';

const shownLines = 30;

export interface RoomBed {
  stack: Stack;
  kit: ArchiveKit;
  /** Global id. */
  roomId: string;
  /** An address of the viewer page for whoever opens it once. */
  viewerUrl(): Promise<string>;
  /** Ends everything; what was logged last is told when something went wrong. */
  close(hasFailed: boolean): Promise<void>;
}

/** Resolves when the people are in the room. */
export async function openRoomBed(people: RtpPerson[]): Promise<RoomBed> {
  // Made while the service starts; should that fail first, nobody waits for them.
  const films = Promise.all(people.map(filmOf));
  films.catch(() => {});
  const { dataDir, remove } = temporaryDataFolder();
  const lines: string[] = [];
  const opened: (() => unknown)[] = [remove];
  const close = async (hasFailed: boolean) => {
    if (hasFailed) console.error(lines.slice(-shownLines).join('\n'));
    for (const end of opened.splice(0).reverse()) await end();
  };
  try {
    const stack = await startStack({ config: isolatedConfig(dataDir), log: (line) => lines.push(line) });
    opened.push(() => stack.stop());
    const kit = createArchiveKit(stack);
    opened.push(() => kit.close());
    const { ensureRoom } = await kit.tapedeck.request(EnsureRoom, { input: { name: 'bench' } });
    if (ensureRoom.__typename !== 'EnsureRoomPayload') throw new Error(ensureRoom.message);
    const { room, sessionId, apiKey } = ensureRoom;
    const server = await connectMediaServer(stack.mediaServer, { log: pino({ level: 'silent' }) });
    opened.push(() => server.close());
    await films;
    const published = await publishPeople(server, uuidOf(room.id, ['Room']) as string, people);
    opened.push(() => published.kill());
    return {
      ...{ stack, kit, roomId: room.id, close },
      async viewerUrl() {
        const { createRoomToken } = await kit.tapedeck.request(CreateRoomToken, {
          input: { roomId: room.id, scopes: ['SUBSCRIBE'] },
        });
        if (createRoomToken.__typename !== 'CreateRoomTokenPayload') throw new Error(createRoomToken.message);
        return `${stack.url}/viewer?${new URLSearchParams({ sessionId, apiKey, token: createRoomToken.token })}`;
      },
    };
  } catch (error) {
    await close(true);
    throw error;
  }
}
