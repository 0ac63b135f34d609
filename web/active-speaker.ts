/** Who is speaking, from how loud everybody is: a cough moves nobody. Knows nothing of browsers. */

// -34 dBFS: above the noise of a room, below a quiet voice.
const speechLevel = 0.02;
// A syllable is shorter than this, a word is longer.
const proofMs = 500;
// Between words and while somebody breathes the picture stays.
const holdMs = 2_000;
// 6 dB: who is so much louder for as long as a pause lasts is the one who is listened to, whatever hums elsewhere.
const muchLouder = 2;
const shownMs = 400;

export interface Speakers {
  /** Takes note of levels, 0 to 1, by key; whoever has none has left. `now`: milliseconds. Answers who speaks, or did last. */
  note(now: number, levels: ReadonlyMap<string, number>): string | null;
  /** Whether they are heard right now. */
  isSpeaking(key: string): boolean;
}

interface Voice {
  /** Since when they speak without a pause; null while silent. */
  since: number | null;
  lastHeard: number;
  louderSince: number | null;
  level: number;
}

export function createSpeakers(): Speakers {
  const voices = new Map<string, Voice>();
  let current: string | null = null;
  let lastNow = 0;

  return {
    note(now, levels) {
      lastNow = now;
      for (const key of voices.keys()) if (!levels.has(key)) voices.delete(key);
      if (current !== null && !voices.has(current)) current = null;
      for (const [key, level] of levels) voices.set(key, heard(voices.get(key), level, now));
      const holder = current === null ? undefined : voices.get(current);
      for (const [key, voice] of voices) {
        const louder = key !== current && voice.level > muchLouder * Math.max(speechLevel, holder?.level ?? 0);
        voice.louderSince = louder ? (voice.louderSince ?? now) : null;
      }
      if (holder && now - holder.lastHeard < holdMs) {
        const [usurper] = loudest(voices, (voice) => voice.louderSince !== null && now - voice.louderSince >= holdMs);
        if (usurper) current = usurper;
        return current;
      }
      const [next] = loudest(voices, (voice) => voice.since !== null && now - voice.since >= proofMs);
      if (next) current = next;
      return current;
    },
    isSpeaking(key) {
      const voice = voices.get(key);
      return voice !== undefined && lastNow - voice.lastHeard < shownMs;
    },
  };
}

function heard(before: Voice | undefined, level: number, now: number): Voice {
  const voice = before ?? { since: null, lastHeard: Number.NEGATIVE_INFINITY, louderSince: null, level: 0 };
  if (level >= speechLevel) return { ...voice, level, since: voice.since ?? now, lastHeard: now };
  return { ...voice, level, since: now - voice.lastHeard < shownMs ? voice.since : null };
}

function loudest(voices: ReadonlyMap<string, Voice>, isMeant: (voice: Voice) => boolean): string[] {
  return [...voices]
    .filter(([, voice]) => isMeant(voice))
    .sort(([, a], [, b]) => b.level - a.level)
    .map(([key]) => key);
}
