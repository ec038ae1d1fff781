// Where requests go, when that is not an AI Gateway.

import { t } from '../i18n';
import { to } from '../lib/route';
import { session } from '../lib/session';
import { useStore } from '../lib/store';

/** A line that says so, wherever one is; nothing with a gateway. */
export function UpstreamNote({ class: more }: { class?: string }) {
  const current = useStore(session);
  if (current?.upstream === 'direct') return <a class={`upstream small ${more ?? ''}`} href={to(['settings'])}>{t.settings.direct}</a>;
  if (current?.gateway?.simulated) return <p class={`upstream wait small ${more ?? ''}`}>{t.settings.simulated}</p>;
  return null;
}
