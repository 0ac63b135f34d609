/** Addresses of inputs as they may be shown to those who may only look: without what opens them. */

const hidden = '***';

/** User names, passwords, values of the query, and of RTMP the stream key are left out. */
export function shownInputUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return hidden;
  const user = url.username || url.password ? `${hidden}@` : '';
  const path = /^rtmp/.test(url.protocol) ? url.pathname.replace(/[^/]+$/, hidden) : url.pathname;
  const names = [...url.searchParams.keys()];
  const query = names.length > 0 ? `?${names.map((name) => `${encodeURIComponent(name)}=${hidden}`).join('&')}` : '';
  return `${url.protocol}//${user}${url.host}${path}${query}`;
}
