/** What a page said and what went wrong in it, kept for the person who has to find out why it was not recorded. */
import { appendFileSync, statSync } from 'node:fs';

const limitBytes = 1_048_576;
const lineLimitChars = 2_000;

export interface ConsoleLog {
  write(kind: string, text: string): void;
}

/** Appends to the file until it holds 1 MB; what comes later is dropped, since the beginning tells more. */
export function openConsoleLog(file: string): ConsoleLog {
  let bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return {
    write(kind, text) {
      if (bytes >= limitBytes) return;
      // Whoever reads it could do what the page's token allows: our own viewer page has one in its address.
      const shown = text.replace(/([?&]token=)[^&#\s"']+/g, '$1***');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a page must not be able to steer the reader's terminal.
      const printable = shown.slice(0, lineLimitChars).replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
      let line = `${new Date().toISOString()} ${kind}: ${printable}\n`;
      bytes += Buffer.byteLength(line);
      if (bytes >= limitBytes) line = 'The log is full (1 MB); what came later is not kept.\n';
      try {
        appendFileSync(file, line);
      } catch {
        // A full disk must not end the recording because of its log; the encoder notices it too and says so.
      }
    },
  };
}
