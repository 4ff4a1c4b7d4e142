// One room: what is known of it, and its plot, which scrolls. Each process that reads a thermometer
// numbers what it publishes, so that what was missed is seen, and what comes twice is passed over.

const SHOWN_S = 60;
const KEPT_S = 120;
const HEIGHT = 190;
export const COLORS = ["--line-1", "--line-2", "--line-3", "--line-4"];
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Room {
  constructor(name, element) {
    this.name = name;
    this.element = element;
    this.offset = null; // where the bus can go on for us
    this.sources = new Map(); // process -> { run, n, time, value }
    this.points = []; // { time, source, value, n, run }: value null where the line is broken
    this.gaps = []; // { source, from, to, missed }
    this.missed = 0;
    this.caughtUp = 0;
    this.resumedAt = 0;
    this.isNew = false;
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  get canvas() {
    return this.element.querySelector(".canvas");
  }

  // Take a reading; false if it is known already.
  add({ source, run, n, time, value, offset }) {
    if (offset) this.offset = offset;
    const last = this.sources.get(source);
    if (last?.run === run && n <= last.n) return false;
    const x = Math.max(time, this.points.at(-1)?.time ?? 0);
    const isBroken = last && (last.run !== run || n !== last.n + 1);
    if (isBroken) {
      // A process that was started again counts anew: what it missed before its end nobody can tell.
      const missed = last.run === run ? n - last.n - 1 : n - 1;
      this.missed += missed;
      this.gaps.push({ source, from: last.time, to: x, missed, restarted: last.run !== run });
      this.points.push({ time: x, source, value: null });
    }
    if (!last) this.rebuild = true;
    if (time < this.resumedAt) this.caughtUp += 1;
    this.sources.set(source, { run, n, time: x, value });
    this.points.push({ time: x, source, value, n, run });
    this.isNew = true;
    return true;
  }

  forget(now) {
    const known = this.points.length;
    while (this.points.length && this.points[0].time < now - KEPT_S) this.points.shift();
    this.gaps = this.gaps.filter((gap) => gap.to > now - KEPT_S);
    for (const [source, last] of this.sources) {
      if (last.time < now - KEPT_S) {
        this.sources.delete(source);
        this.rebuild = true;
      }
    }
    if (this.points.length !== known) this.isNew = true;
  }

  // In the same order on every page, so that the colours are the same.
  get names() {
    return [...this.sources.keys()].sort();
  }

  get data() {
    return [this.points.map((point) => point.time), ...this.names.map((source) => this.line(source))];
  }

  // In uPlot's words: undefined is where another line has a point, and null a gap, from point to point.
  line(source) {
    const values = this.points.map((point) => (point.source === source ? point.value : undefined));
    for (let i = values.length - 1; i > 0; i -= 1) {
      if (values[i] === null && values[i - 1] === undefined) values[i - 1] = null;
    }
    return values;
  }

  // Show what there is, with the present at the right.
  draw(now) {
    if (this.rebuild || !this.plot) this.make();
    if (this.isNew) this.plot.setData(this.data, false);
    this.isNew = false;
    this.plot.setScale("x", { min: now - SHOWN_S, max: now });
  }

  make() {
    this.plot?.destroy();
    this.rebuild = false;
    this.isNew = true;
    const [muted, line] = [color("--muted"), color("--line")];
    const axis = { stroke: muted, font: "12px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const series = this.names.map((source, i) => {
      const stroke = color(COLORS[i % COLORS.length]);
      return { label: source, stroke, width: 2, fill: i === 0 ? `${stroke}1c` : undefined, points: { show: false } };
    });
    this.plot = new uPlot({
      width: this.canvas.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      padding: [10, 8, 0, 0],
      scales: { x: { time: true }, y: { range: (_, low, high) => (low === null ? [0, 1] : [Math.floor(low - 0.3), Math.ceil(high + 0.3)]) } },
      axes: [{ ...axis, space: 90, values: (_, all) => all.map(clock), size: 30 }, { ...axis, size: 46, space: 34 }],
      series: [{}, ...series],
      hooks: { drawAxes: [(plot) => this.shade(plot)] },
    }, this.data, this.canvas);
  }

  // What is missing is shown, not hidden.
  shade(plot) {
    const { left, top, width, height } = plot.bbox;
    const pen = plot.ctx;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width, height);
    pen.clip();
    pen.textAlign = "left";
    pen.textBaseline = "alphabetic";
    pen.font = `${Math.round(11 * devicePixelRatio)}px system-ui, sans-serif`;
    for (const gap of this.gaps) {
      const [from, to] = [plot.valToPos(gap.from, "x", true), plot.valToPos(gap.to, "x", true)];
      pen.globalAlpha = 0.16;
      pen.fillStyle = color("--wait");
      pen.fillRect(from, top, Math.max(to - from, 2), height);
      pen.globalAlpha = 1;
      pen.fillText(gap.restarted ? `${gap.source} restarted` : `${gap.missed} missed`, from + 4, top + 14 * devicePixelRatio);
    }
    pen.restore();
  }

  resize() {
    this.plot?.setSize({ width: this.canvas.clientWidth, height: HEIGHT });
  }

  remove() {
    this.plot?.destroy();
    this.element.remove();
  }
}

function clock(seconds) {
  const time = new Date(seconds * 1000);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}
