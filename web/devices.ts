/** Cameras, microphones and screens of the person at the page. */
import type { LocalTrack } from './publication.js';

/** Why a device cannot be used, in words for who sits before it. */
export class DeviceError extends Error {
  override name = 'DeviceError';
}

/** Camera and microphone, or the one of them that there is. Throws DeviceError. */
export async function openCameraAndMicrophone(wish: { camera: string; microphone: string }): Promise<LocalTrack[]> {
  const exactly = (id: string) => (id ? { deviceId: { exact: id } } : {});
  const video = { ...exactly(wish.camera), width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { max: 30 } };
  const audio = exactly(wish.microphone);
  const found = await media({ video, audio })
    .catch(() => media({ audio }))
    .catch(() => media({ video }));
  return found.map((track) => ({ track, source: track.kind === 'audio' ? 'microphone' : 'camera' }));
}

/** The screen, window or tab that is chosen. Throws DeviceError, also when the choice is given up. */
export async function openScreen(): Promise<LocalTrack> {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new DeviceError('This browser cannot share a screen.');
  const stream = await navigator.mediaDevices
    .getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false })
    .catch(rethrow);
  const [track] = stream.getVideoTracks() as [MediaStreamTrack];
  // What is read must stay sharp, if need be with fewer pictures.
  track.contentHint = 'detail';
  return { track, source: 'screen' };
}

/** Named only once the use of one of them was allowed. */
export async function listDevices(kind: 'videoinput' | 'audioinput'): Promise<{ id: string; label: string }[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices
    .filter((device) => device.kind === kind && device.deviceId !== '')
    .map(({ deviceId, label }) => ({ id: deviceId, label: label || 'Unnamed device' }));
}

async function media(constraints: MediaStreamConstraints): Promise<MediaStreamTrack[]> {
  if (!navigator.mediaDevices)
    throw new DeviceError('Cameras and microphones are only open to pages by https, or on this machine itself.');
  return (await navigator.mediaDevices.getUserMedia(constraints).catch(rethrow)).getTracks();
}

function rethrow(error: unknown): never {
  const { name = '', message = '' } = error as DOMException;
  const explained: Record<string, string> = {
    NotAllowedError: 'The browser was not allowed to use it. Allow it beside the address, then try again.',
    NotFoundError: 'There is no camera and no microphone here.',
    NotReadableError: 'Another program is using the camera or the microphone.',
  };
  throw new DeviceError(explained[name] ?? message);
}
