// All rows at a glance: over time, the client above the line and the server below it.

"use strict";

const AXIS = 18;
const EDGE = 8;
const WIDE_GAP = 0.05; // of the whole time, from which on a gap is marked

class Timeline {
  constructor(canvas, jump) {
    this.canvas = canvas;
    this.jump = jump;
    this.columns = [];
    this.band = [0, 0];
    new ResizeObserver(() => this.arrange()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.point(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons & 1 && this.point(event));
  }

  // Show rows of a connection, in the order of their times.
  set(trace, rows) {
    Object.assign(this, { trace, rows, current: -1 });
    this.lasted = Math.max(trace.about.lasted, 1);
    this.arrange();
  }

  point(event) {
    if (!this.rows?.length) return;
    const wanted = ((event.offsetX - EDGE) / (this.canvas.clientWidth - 2 * EDGE)) * this.lasted;
    let [low, high] = [0, this.rows.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time(middle) < wanted) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && wanted - this.time(low - 1) < this.time(low) - wanted) low--;
    this.jump(low);
  }

  time(index) {
    const { frames, messages } = this.trace.about;
    const id = this.rows[index];
    return id < 0 ? messages.time[~id] : frames.time[id];
  }

  x(time) {
    return EDGE + (time / this.lasted) * (this.width - 2 * EDGE);
  }

  // Sum up once what each column of pixels shows; drawing is then the same work for ten rows and for a million.
  arrange() {
    if (!this.trace) return;
    this.width = this.canvas.clientWidth;
    const { frames, messages } = this.trace.about;
    const columns = [];
    this.gaps = [];
    let before = 0;
    let clients = 0;
    this.rows.forEach((id, index) => {
      const [source, place] = id < 0 ? [messages, ~id] : [frames, id];
      const [time, client] = [source.time[place], source.client[place]];
      const x = Math.round(this.x(time));
      const found = (columns[x] ??= { x, client: 0, server: 0, wrong: false, close: false });
      found[client ? "client" : "server"] += source.size[place] + 2;
      if (id >= 0 && frames.violation[id] !== undefined) found.wrong = true;
      if (id >= 0 && frames.close[id] !== undefined) found.close = true;
      if (index && time - before > this.lasted * WIDE_GAP) this.gaps.push([before, time]);
      before = time;
      clients += client;
    });
    this.columns = columns.filter(Boolean);
    this.most = Math.max(1, ...this.columns.map((column) => Math.max(column.client, column.server)));
    this.canvas.setAttribute(
      "aria-label",
      `${clients} rows from the client and ${this.rows.length - clients} from the server in ${span(this.lasted)}`,
    );
    this.draw();
  }

  // What of the list is in sight, and which row is chosen.
  mark(first, last, current) {
    this.band = [first, last];
    this.current = current;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!this.trace || !width) return;
    const ratio = devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const styles = getComputedStyle(canvas);
    const ink = (name) => styles.getPropertyValue(`--${name}`);
    const lane = (height - AXIS) / 2;
    this.drawGaps(pen, ink, lane);
    if (this.rows.length && this.band[1] >= this.band[0]) {
      const from = this.x(this.time(Math.min(this.band[0], this.rows.length - 1)));
      const to = this.x(this.time(Math.min(this.band[1], this.rows.length - 1)));
      pen.fillStyle = ink("band");
      pen.fillRect(from - 2, 0, Math.max(to - from, 1) + 4, 2 * lane);
    }
    for (const column of this.columns) this.drawColumn(pen, ink, lane, column);
    pen.fillStyle = ink("control");
    pen.fillRect(EDGE, lane - 0.5, width - 2 * EDGE, 1);
    if (this.current >= 0 && this.current < this.rows.length) {
      pen.fillStyle = ink("text");
      pen.fillRect(this.x(this.time(this.current)) - 0.75, 0, 1.5, 2 * lane);
    }
    this.drawAxis(pen, ink, width, height);
  }

  drawColumn(pen, ink, lane, column) {
    const tall = (bytes) => (bytes ? 5 + (lane - 9) * (Math.log2(1 + bytes) / Math.log2(1 + this.most)) : 0);
    pen.fillStyle = ink("sent");
    pen.fillRect(column.x - 1.5, lane - tall(column.client), 3, tall(column.client));
    pen.fillStyle = ink("received");
    pen.fillRect(column.x - 1.5, lane, 3, tall(column.server));
    if (!column.wrong && !column.close) return;
    pen.fillStyle = ink(column.wrong ? "bad" : "muted");
    pen.fillRect(column.x - 0.75, 0, 1.5, 2 * lane);
    if (!column.wrong) return;
    pen.beginPath();
    pen.moveTo(column.x - 5, 0);
    pen.lineTo(column.x + 5, 0);
    pen.lineTo(column.x, 8);
    pen.fill();
  }

  drawGaps(pen, ink, lane) {
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const [from, to] of this.gaps) {
      const [left, right] = [this.x(from) + 2, this.x(to) - 2];
      const text = span(to - from);
      pen.fillStyle = ink("sunken");
      pen.fillRect(left, 2, right - left, 2 * lane - 4);
      if (pen.measureText(text).width + 8 > right - left) continue;
      pen.fillStyle = ink("muted");
      pen.fillText(text, (left + right) / 2, lane * 0.6);
    }
  }

  drawAxis(pen, ink, width, height) {
    const rough = this.lasted / Math.max(2, Math.floor(width / 140));
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, power * [1, 2, 5, 10].find((each) => each * power >= rough));
    pen.fillStyle = ink("muted");
    pen.textBaseline = "alphabetic";
    for (let at = 0; at <= this.lasted * 1.0001; at += step) {
      const x = this.x(at);
      const text = at ? span(Math.round(at)) : "0";
      const half = pen.measureText(text).width / 2;
      pen.textAlign = x - half < 0 ? "left" : x + half > width ? "right" : "center";
      pen.fillText(text, pen.textAlign === "left" ? EDGE : pen.textAlign === "right" ? width - EDGE : x, height - 4);
    }
  }
}
