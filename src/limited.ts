/** Calls of which only so many are carried out at a time. */

/** Answers how to make a function one of those: together they have at most `most` calls under way, and the others wait in order. */
export function limitedTo(most: number) {
  const waiting: (() => void)[] = [];
  let underWay = 0;

  async function enter(): Promise<void> {
    if (underWay < most) underWay++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else underWay--;
  }

  return <Given extends unknown[], Answer>(call: (...given: Given) => Promise<Answer>) =>
    async (...given: Given): Promise<Answer> => {
      await enter();
      try {
        return await call(...given);
      } finally {
        leave();
      }
    };
}
