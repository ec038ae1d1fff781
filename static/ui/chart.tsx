// Numbers over time, drawn by uPlot. Bars stand behind each other, the first one at the back, so a
// bar of all and a bar of the successes show what failed between them.

import 'uplot/dist/uPlot.min.css';
import './chart.css';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { locale } from '../i18n';
import { number, short } from '../lib/format';
import { useStore } from '../lib/store';
import { colours } from '../lib/theme';

export interface Series {
  label: string;
  /** A colour of base.css, such as `--accent`. */
  colour: string;
  values: number[];
  line?: boolean;
  /** What the readout shows, where that is not the value itself. */
  told?: number[];
}

interface Props {
  /** One for each bucket. */
  at: number[];
  series: Series[];
  height?: number;
  /** Higher where its place is. */
  fill?: boolean;
  /** Read out in place of the picture. */
  label: string;
  /** Below the axis, and in the readout. */
  axis: (at: number) => string;
  full: (at: number) => string;
}

export function Chart({ at, series, height = 220, fill, label, axis, full }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [pointed, setPointed] = useState<number | null>(null);
  const redraw = useStore(colours);
  const latest = useRef({ at, series, axis });
  latest.current = { at, series, axis };
  // The values change often, what is drawn seldom.
  const shape = `${redraw} ${height} ${locale()} ${series.map((one) => one.label).join()} ${at.length}`;

  useLayoutEffect(() => {
    const place = box.current;
    if (!place) return;
    const paint = (name: string) => {
      place.style.color = `var(${name})`;
      return getComputedStyle(place).color;
    };
    const [soft, line] = [paint('--soft'), paint('--line')];
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const bars = uPlot.paths.bars?.({ size: [0.72, 36], radius: 0.12 });
    const spline = uPlot.paths.linear?.();
    const made = series.map((one): uPlot.Series => {
      const colour = paint(one.colour);
      return one.line
        ? { label: one.label, stroke: colour, width: 2, points: { show: false }, ...(spline ? { paths: spline } : {}) }
        : { label: one.label, fill: colour, stroke: colour, width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) };
    });
    place.style.color = '';
    const options: uPlot.Options = {
      width: place.clientWidth, height: place.clientHeight,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: () => [-0.5, latest.current.at.length - 0.5] },
        y: { range: (_, __, most) => [0, Math.max(4, most * 1.08)] },
      },
      axes: [
        {
          stroke: soft, font, grid: { show: false }, ticks: { show: false }, size: 26, gap: 6,
          splits: (self) => marks(latest.current.at.length, self.width),
          values: (_, found) => found.map((index) => latest.current.axis(latest.current.at[index] ?? 0)),
        },
        {
          stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 44, gap: 6,
          values: (_, found) => found.map((value) => (Number.isInteger(value) ? short(value) : '')),
        },
      ],
      series: [{}, ...made],
      hooks: { setCursor: [(self) => setPointed(self.cursor.idx ?? null)] },
    };
    const it = new uPlot(options, table(latest.current), place);
    plot.current = it;
    const watcher = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = place;
      if (width > 0 && (width !== it.width || height !== it.height)) it.setSize({ width, height });
    });
    watcher.observe(place);
    return () => {
      watcher.disconnect();
      it.destroy();
      plot.current = undefined;
    };
  }, [shape]);

  useEffect(() => plot.current?.setData(table({ at, series })), [at, series]);

  const index = pointed !== null && pointed < at.length ? pointed : null;
  return (
    <figure class={`chart ${fill ? 'fill' : ''}`}>
      <figcaption class="legend small">
        {series.map((one) => (
          <span key={one.label} class="row tight still">
            <i class={one.line ? 'line' : ''} style={{ background: `var(${one.colour})` }} />
            <span class="soft">{one.label}</span>
            <strong>{number(index === null ? sum(one.told ?? one.values) : (one.told ?? one.values)[index] ?? 0)}</strong>
          </span>
        ))}
        <span class="soft at">{index === null ? '' : full(at[index] ?? 0)}</span>
      </figcaption>
      <div ref={box} class="plot" role="img" aria-label={label} style={fill ? { minHeight: `${height}px` } : { height: `${height}px` }} />
    </figure>
  );
}

const sum = (values: number[]) => values.reduce((all, one) => all + one, 0);

const table = ({ at, series }: { at: number[]; series: Series[] }): uPlot.AlignedData => [at.map((_, index) => index), ...series.map((one) => one.values)];

/** As many marks as have room, evenly, the last bucket among them. */
function marks(count: number, width: number): number[] {
  const every = Math.max(1, Math.ceil(count / Math.max(2, Math.floor(width / 84))));
  const found: number[] = [];
  for (let index = count - 1; index >= 0; index -= every) found.unshift(index);
  return found;
}
