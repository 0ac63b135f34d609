/** Ctrl-C and SIGTERM: the first ends in order, a second one at once. */

/** npm passes on the Ctrl-C that the terminal has already sent to all: two signals this close together are one. */
const sameInterruptMs = 500;
const killedExitCode = 130;

export interface InterruptHandling {
  first(): Promise<void>;
  second(): void;
  exitCode: number;
}

/** Runs `first`, then ends the process with `exitCode`; `second` is run instead of waiting any longer. */
export function onInterrupt({ first, second, exitCode }: InterruptHandling): void {
  let firstAt: number | undefined;
  function interrupted() {
    if (firstAt === undefined) {
      firstAt = Date.now();
      first().then(
        () => process.exit(exitCode),
        (error: Error) => {
          console.error(error.message);
          process.exit(1);
        },
      );
    } else if (Date.now() - firstAt > sameInterruptMs) {
      second();
      process.exit(killedExitCode);
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupted);
}
