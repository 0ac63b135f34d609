/** Chance that can be repeated: the same seed gives the same moments and the same choices. */

export interface Chance {
  readonly seed: number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  pick<T>(choices: readonly T[]): T;
  shuffle<T>(items: readonly T[]): T[];
  /** Chance of its own for a part of the run, which then does not depend on what else is run. */
  of(name: string): Chance;
}

/** `seed` is a whole number below 2^32. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  // mulberry32: all that is asked of it is that the same seed gives the same numbers.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const chance: Chance = {
    seed,
    between: (least, most) => least + Math.floor(next() * (most - least + 1)),
    pick: (choices) => choices[chance.between(0, choices.length - 1)] as (typeof choices)[number],
    shuffle(items) {
      const left = [...items];
      return items.map(() => left.splice(chance.between(0, left.length - 1), 1)[0] as (typeof items)[number]);
    },
    of: (name) => createChance([...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), seed)),
  };
  return chance;
}
