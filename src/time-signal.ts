/** Signals that end what takes too long. */

/**
 * A signal that is aborted `limitMs` from now, or with one of `others` before. The timer itself holds what it aborts: in
 * Node 20 an `AbortSignal.timeout` that only an `AbortSignal.any` knows of is collected as garbage, and never fires.
 */
export function abortedAfter(limitMs: number, ...others: AbortSignal[]): AbortSignal {
  const limit = new AbortController();
  const timeUp = () => limit.abort(new DOMException(`It took longer than ${limitMs} ms.`, 'TimeoutError'));
  setTimeout(timeUp, limitMs).unref();
  return others.length === 0 ? limit.signal : AbortSignal.any([...others, limit.signal]);
}
