// The page's few pictures: strokes on a grid of 20.

const PATHS = {
  overview: 'M3.5 10.5h5v6h-5zM11.5 3.5h5v13h-5zM3.5 3.5h5v4h-5z',
  key: 'M12.5 11.5a4 4 0 1 0-3.7-2.5L3.5 14.3v2.2h2.7v-1.7h1.7v-1.7h1.7l1-1a4 4 0 0 0 1.9-.6zM13.4 6.7h.1',
  token: 'M3.5 6.5h13v2.2a1.5 1.5 0 0 0 0 2.6v2.2h-13v-2.2a1.5 1.5 0 0 0 0-2.6zM8 6.5v7',
  connect: 'M7.5 12.5l5-5M8.7 6.3l1.6-1.6a3.5 3.5 0 0 1 5 5l-1.6 1.6M11.3 13.7l-1.6 1.6a3.5 3.5 0 0 1-5-5l1.6-1.6',
  activity: 'M2.5 10.5h3.2l2.3-6 4 11 2.3-5h3.2',
  settings: 'M4 6h7M15 6h1M4 14h1M9 14h7M13 4.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6zM7 12.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z',
  plus: 'M10 4.5v11M4.5 10h11',
  close: 'M5.5 5.5l9 9M14.5 5.5l-9 9',
  search: 'M9 14a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12.8 12.8l3.7 3.7',
  copy: 'M7.5 7.5h8v9h-8zM12.5 7.5v-3h-9v9h4',
  check: 'M4.5 10.5l3.7 3.7 7.3-8.2',
  refresh: 'M15.8 8.3A6 6 0 1 0 16 11M16 4.5v4h-4',
  warning: 'M10 3.5l7 12.5H3zM10 8.2v3.6M10 13.9v.1',
  info: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 9.3v4M10 6.7v.1',
  more: 'M5 10h.1M10 10h.1M15 10h.1',
  down: 'M5.5 8l4.5 4.5L14.5 8',
  up: 'M5.5 12L10 7.5l4.5 4.5',
  left: 'M12 5.5L7.5 10l4.5 4.5',
  right: 'M8 5.5l4.5 4.5L8 14.5',
  sun: 'M10 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM10 2.8v1.4M10 15.8v1.4M2.8 10h1.4M15.8 10h1.4M4.9 4.9l1 1M14.1 14.1l1 1M4.9 15.1l1-1M14.1 5.9l1-1',
  moon: 'M16.3 12.1A6.8 6.8 0 0 1 7.9 3.7a6.8 6.8 0 1 0 8.4 8.4z',
  system: 'M3.5 4.5h13v8.5h-13zM7.5 16h5M10 13v3',
  language: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM3 10h14M10 3c2.2 2.1 3.2 4.4 3.2 7s-1 4.9-3.2 7c-2.2-2.1-3.2-4.4-3.2-7S7.8 5.1 10 3z',
  out: 'M12.5 6V3.5h-9v13h9V14M8 10h9M14.2 7.2L17 10l-2.8 2.8',
  trash: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.7 11h7.6l.7-11M8.5 8.5v5M11.5 8.5v5',
  eye: 'M2.5 10S5 5 10 5s7.5 5 7.5 5-2.5 5-7.5 5-7.5-5-7.5-5zM10 12.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6z',
  edit: 'M4 16l.6-3.2L13 4.4l2.6 2.6-8.4 8.4zM11.5 6l2.6 2.6',
  send: 'M16.5 3.5L3.5 9l5 2.5 2.5 5zM16.5 3.5l-8 8',
  play: 'M6.5 4.5v11l9-5.5z',
  pause: 'M7 5v10M13 5v10',
  stop: 'M5.5 5.5h9v9h-9z',
  clock: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6v4.2l2.8 1.6',
  file: 'M5 3.5h6.5L15 7v9.5H5zM11.5 3.5V7H15',
  download: 'M10 3.5v9M6.5 9.2l3.5 3.5 3.5-3.5M4 16.5h12',
  filter: 'M3.5 5.5h13M6 10h8M8.5 14.5h3',
  external: 'M8 5H4.5v10.5H15V12M11 4.5h4.5V9M15.5 4.5L9 11',
  tag: 'M3.5 3.5h6l7 7-6 6-7-7zM6.9 6.9h.1',
  undo: 'M7 4.5L3.5 8 7 11.5M3.5 8h8a4.5 4.5 0 0 1 0 9H8',
  bolt: 'M11 2.8L4.5 11.2H9.5L9 17.2l6.5-8.4H10.5z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} stroke-width={name === 'more' ? 2.4 : undefined} />
    </svg>
  );
}

/** Each state has a shape of its own, for those who do not see its colour. */
export function StateIcon({ state, size = 12 }: { state: string; size?: number }) {
  const shape = {
    ready: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
    cooling: <path d="M6 1.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM6 3.5V6l1.7 1.2" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />,
    blocked: <path d="M2.5 2.5l7 7M9.5 2.5l-7 7" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" />,
    disabled: <path d="M4 2.5v7M8 2.5v7" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" />,
  }[state] ?? <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.6" />;
  return <svg width={size} height={size} viewBox="0 0 12 12" aria-hidden="true">{shape}</svg>;
}

export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path d="M16 7v17M10.5 24.5h11M7 11.5l9-2 9 2M7 11.5l-3 6.5h6zM25 11.5l-3 6.5h6z" fill="none" stroke="var(--on-accent)" stroke-width="2" stroke-linejoin="round" stroke-linecap="round" />
    </svg>
  );
}
