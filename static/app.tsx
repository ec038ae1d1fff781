// The frame: who is signed in, where one can go, and the view that is there.

import { Component, type ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { choose, language, t } from './i18n';
import { toast } from './ui/toast';
import { inWords } from './lib/api';
import { short } from './lib/format';
import { useLoad } from './lib/load';
import { MINUTE } from './lib/time';
import { to, useRoute } from './lib/route';
import { loadProviders, resume, session, signOut } from './lib/session';
import { useStore } from './lib/store';
import { THEMES, theme } from './lib/theme';
import type { Provider } from './lib/types';
import { Questions } from './ui/dialog';
import { Icon, type IconName, Mark } from './ui/icon';
import { Menu, type MenuItem } from './ui/menu';
import { Button, Failed } from './ui/parts';
import { Toasts } from './ui/toast';
import { UpstreamNote } from './ui/upstream';
import { ActivityView } from './views/activity';
import { ConnectView } from './views/connect';
import { KeysView } from './views/keys';
import { OverviewView } from './views/overview';
import { SettingsView } from './views/settings';
import { SignInView } from './views/sign-in';
import { TokensView } from './views/tokens';

const VIEWS = {
  overview: { icon: 'overview', view: OverviewView },
  keys: { icon: 'key', view: KeysView },
  tokens: { icon: 'token', view: TokensView },
  connect: { icon: 'connect', view: ConnectView },
  activity: { icon: 'activity', view: ActivityView },
  settings: { icon: 'settings', view: SettingsView },
} as const satisfies Record<string, { icon: IconName; view: () => ComponentChildren }>;

type ViewName = keyof typeof VIEWS;
const NAMES = Object.keys(VIEWS) as ViewName[];
/** On a phone there is room for five; the rest is behind "more". */
const ON_PHONE: ViewName[] = ['overview', 'keys', 'activity', 'connect'];

export function App() {
  useStore(language); // everything is drawn again in the other language
  const current = useStore(session);
  const [error, setError] = useState<unknown>();
  const start = () => {
    setError(undefined);
    resume().catch(setError);
  };
  useEffect(start, []);
  return <>
    {error && !current ? <main class="alone"><Failed error={error} again={start} /></main>
      : current === undefined ? <main class="alone" aria-busy="true"><Mark size={40} /></main>
        : current === null ? <SignInView /> : <Frame />}
    <Questions />
    <Toasts level={0} />
  </>;
}

function Frame() {
  const { path } = useRoute();
  const name: ViewName = NAMES.find((one) => one === path[0]) ?? 'overview';
  const { view: View } = VIEWS[name];
  const main = useRef<HTMLElement>(null);
  const [before, setBefore] = useState(name);
  useEffect(() => {
    if (before === name) return;
    setBefore(name);
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true }); // read on from the new view
  }, [name]);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{t.skip}</a>
      <Sidebar current={name} path={path} />
      <header class="topbar">
        <a href={to([])} class="brand"><Mark size={24} />One Balance</a>
        <Preferences small />
      </header>
      <main id="main" ref={main} tabindex={-1}>
        <Guard key={name}><View /></Guard>
      </main>
      <Tabs current={name} />
    </div>
  );
}

const addressOf = (name: ViewName) => to(name === 'overview' ? [] : [name]);

function Sidebar({ current, path }: { current: ViewName; path: string[] }) {
  const { data } = useLoad('providers', loadProviders, { every: MINUTE });
  return (
    <nav class="sidebar" aria-label={t.main}>
      <a href={to([])} class="brand"><Mark />One Balance</a>
      <UpstreamNote />
      <ul class="places">
        {NAMES.map((name) => (
          <li key={name}>
            <a class="place" href={addressOf(name)} aria-current={current === name && (name !== 'keys' || !path[1]) ? 'page' : undefined}>
              <Icon name={VIEWS[name].icon} />{t.nav[name]}
            </a>
          </li>
        ))}
      </ul>
      {data && data.providers.length > 0 && (
        <div class="pools" role="group" aria-labelledby="pools-of-keys">
          <h2 id="pools-of-keys">{t.overview.usable}</h2>
          <ul>{data.providers.map((one) => <Pool key={one.slug} one={one} current={current === 'keys' && path[1] === one.slug} />)}</ul>
        </div>
      )}
      <div class="below"><Preferences /></div>
    </nav>
  );
}

function Pool({ one, current }: { one: Provider; current: boolean }) {
  const words = `${one.name}: ${one.usable} / ${one.total}`;
  return (
    <li>
      <a class="pool" href={to(['keys', one.slug])} aria-current={current ? 'page' : undefined} title={words}>
        <span class="cut grow">{one.name}</span>
        <span class={`small ${one.usable === 0 ? 'bad strong' : 'soft'}`}>{short(one.usable)}<span class="unseen">{t.overview.ofKeys(one.total)}</span></span>
      </a>
    </li>
  );
}

async function leave() {
  try {
    await signOut();
  } catch (error) {
    toast(inWords(error));
  }
}

/** Language, theme and signing out. */
export function Preferences({ small, signedIn = true }: { small?: boolean; signedIn?: boolean }) {
  const chosen = useStore(theme);
  const icon: Record<string, IconName> = { system: 'system', light: 'sun', dark: 'moon' };
  const other = language.get() === 'en' ? 'zh' : 'en';
  const themes: MenuItem[] = THEMES.map((one) => ({ text: t.themes[one], icon: icon[one] ?? 'sun', chosen: one === chosen, run: () => theme.set(one) }));
  return (
    <div class="row tight still">
      <Button kind="bare" icon="language" small={small ?? false} lang={other === 'zh' ? 'zh-CN' : 'en'} onClick={() => choose(other)}>{t.otherLanguage}</Button>
      <Menu label={t.theme} icon={icon[chosen] ?? 'sun'} items={themes} small={small ?? false} />
      {signedIn && <button type="button" class={`button icon bare ${small ? 'small' : ''}`} title={t.nav.signOut} aria-label={t.nav.signOut} onClick={leave}><Icon name="out" /></button>}
    </div>
  );
}

/** The places of a phone. */
function Tabs({ current }: { current: ViewName }) {
  const rest = NAMES.filter((name) => !ON_PHONE.includes(name));
  const items: MenuItem[] = rest.map((name) => ({ text: t.nav[name], icon: VIEWS[name].icon, run: () => { location.hash = addressOf(name); } }));
  return (
    <nav class="tabs" aria-label={t.main}>
      {ON_PHONE.map((name) => (
        <a key={name} href={addressOf(name)} aria-current={current === name ? 'page' : undefined}><Icon name={VIEWS[name].icon} size={22} />{t.nav[name]}</a>
      ))}
      <Menu label={t.more} text={<span class="tab-more"><Icon name="more" size={22} />{t.more}</span>} kind={`tab ${rest.includes(current) ? 'current' : ''}`} items={items} />
    </nav>
  );
}

/** A view that fails leaves the others alone. */
class Guard extends Component<{ children: ComponentChildren }, { failed: boolean }> {
  override state = { failed: false };
  static override getDerivedStateFromError() {
    return { failed: true };
  }
  override componentDidCatch(error: unknown) {
    console.error(error);
  }
  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <div class="nothing" role="alert">
        <Icon name="warning" size={30} /><h2>{t.errors.crashed}</h2><p>{t.errors.crashedText}</p>
        <Button icon="refresh" onClick={() => location.reload()}>{t.errors.reload}</Button>
      </div>
    );
  }
}
