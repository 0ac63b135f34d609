/** Records a page: its browser behind the egress proxy, its tracks, and its way back into a room, from opening to closing. */
import { loadConfig, requireMediaServer } from '../../src/config.js';
import type { HostOutcome, HostPhase, PageSpec } from '../../src/jobs/capture.js';
import { startEgressProxy } from '../../src/net/egress.js';
import { findBrowserUser } from '../capture/browser-user.js';
import { type Publication, startPublication } from '../publishing/publication.js';
import { createPageRecorder } from '../recorders/page.js';
import { startTracks } from '../tracks/start.js';
import type { HostKit } from './kit.js';
import type { LayoutKeeper } from './layout.js';
import { supervise } from './supervise.js';

/** Records to the end. Leaves nothing running. Throws what nobody foresaw. */
export async function runPage(spec: PageSpec, kit: HostKit, layout: LayoutKeeper): Promise<HostOutcome> {
  const { folder, scratch, wish, manifest, warnings, outlets, refused, note } = kit;
  const proxy = await startEgressProxy({ policy: spec.egress, onRefused: refused.add });
  const tracks = startTracks({ spec, folder, wish, manifest, warnings, note });
  const setPhase = (next: HostPhase) => {
    kit.setPhase(next);
    if (next === 'RECORDING') tracks?.begin();
    if (next === 'STOPPING') void tracks?.close();
  };
  try {
    const user = await findBrowserUser(spec.tools.browserUser);
    const recorder = createPageRecorder({
      ...{ source: spec.source, tools: spec.tools, user, scratch, folder },
      ...{ proxyPort: proxy.port, directMedia: spec.directMedia, layout: layout.wanted },
      ...{ lastRefusal: refused.last, prepare: tracks?.prepare ?? null },
    });
    let publication: Publication | null = null;
    try {
      publication = await publish();
      return await supervise({
        ...kit,
        ...{ spec, recorder, layout, setPhase },
        encoderHome: scratch.encoderHome,
        rtpPort: publication?.port ?? null,
      });
    } finally {
      setPhase('STOPPING');
      const outletsClosed = outlets.close();
      // While the browser lives: it hands out what its elements played last.
      await tracks?.close();
      await Promise.all([recorder.close(), outletsClosed, publication?.close()]);
    }
  } finally {
    await tracks?.close();
    await proxy.close();
  }

  async function publish(): Promise<Publication | null> {
    const { publication } = spec;
    return publication && startPublication({ publication, address: requireMediaServer(loadConfig()), note });
  }
}
