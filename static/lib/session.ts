// Who is signed in. The session is a cookie that scripts cannot read; here is only what it says of itself.

import { Failure, get, onSignedOut, post, remove } from './api';
import { forgetAll } from './load';
import { remember, remembered, store } from './store';
import type { Providers, Session } from './types';

/** `undefined`: not known yet; `null`: nobody. */
export const session = store<Session | null | undefined>(undefined);
/** Why one has to sign in again. */
export const farewell = store<'' | 'signedOut' | 'ended'>('');

function leave(why: 'signedOut' | 'ended') {
  remember('in', null);
  farewell.set(why);
  session.set(null);
  forgetAll();
}
onSignedOut(() => {
  if (session.get()) leave('ended');
});

/** Whether there is a session from before. Without a sign of one nothing is asked. */
export async function resume(): Promise<void> {
  if (remembered('in') === null) return session.set(null);
  try {
    session.set(await get<Session>('session'));
  } catch (error) {
    if (error instanceof Failure && (error.status === 401 || error.status === 403)) return leave('ended');
    throw error;
  }
}

export async function signIn(token: string): Promise<void> {
  const found = await post<Session>('session', { token });
  remember('in', '1');
  farewell.set('');
  session.set(found);
}

export async function signOut(): Promise<void> {
  await remove('session');
  leave('signedOut');
}

export const loadProviders = (signal: AbortSignal) => get<Providers>('providers', {}, { signal });
