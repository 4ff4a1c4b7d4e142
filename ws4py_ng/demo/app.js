// The page of `ws4py-ng demo`. A browser's WebSocket shows messages, each of which is a frame
// here, and no Pings: what measures the round trip is the echo of any message. The WebSocket
// itself is in worker.js.

const $ = (id) => document.getElementById(id);
const MAX_ROWS = 400;
const MAX_SAMPLES = 120;
const MAX_SHOWN_BYTES = 64;
const MAX_SHOWN_TEXT = 4000;
const PROBE_MS = 1000;
const SETTLED_MS = 300; // when the page has been painted
const NAMES = {
  1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
  1005: "no status received", 1006: "abnormal closure", 1007: "invalid payload", 1008: "policy violation",
  1009: "message too big", 1011: "internal error", 1012: "service restart", 1013: "try again later",
};
const url = `ws://${location.host}${document.body.dataset.echo}`;
const utf8 = new TextEncoder();

const worker = new Worker("/worker.js");
let reconnecting = false;
let samples = []; // milliseconds
let sent = 0;
let received = 0;
let probes = 0;
let rows = []; // to be shown
let showing = 0;

// What is shown

const clock = () => {
  const now = new Date();
  const two = (n, width = 2) => String(n).padStart(width, "0");
  return `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}.${two(now.getMilliseconds(), 3)}`;
};

const milliseconds = (ms) => `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;

const bytes = (n) => (n < 1024 ? `${n} B` : n < 1024 * 1024 ? `${+(n / 1024).toFixed(1)} KiB` : `${+(n / 1048576).toFixed(1)} MiB`);

const hex = (buffer) => {
  const start = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, MAX_SHOWN_BYTES));
  const digits = Array.from(start, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return buffer.byteLength > MAX_SHOWN_BYTES ? `${digits} …` : digits;
};

const content = (data) => {
  if (typeof data !== "string") return hex(data);
  return data.length > MAX_SHOWN_TEXT ? `${data.slice(0, MAX_SHOWN_TEXT)} …` : data;
};

const size = (data) => (typeof data === "string" ? utf8.encode(data).length : data.byteLength);

function cell(row, kind, text) {
  const td = document.createElement("td");
  td.className = kind;
  td.textContent = text;
  row.append(td);
  return td;
}

// Rows are made here and shown with the next picture, however many there are.
function addRow(kind, type, data, trip = "") {
  const moves = kind === "sent" || kind === "received";
  const row = document.createElement("tr");
  row.className = kind;
  cell(row, "time", clock());
  const direction = cell(row, "direction", "");
  if (moves) {
    const said = document.createElement("span");
    said.className = "unseen";
    said.textContent = kind;
    const arrow = document.createElement("span");
    arrow.setAttribute("aria-hidden", "true");
    arrow.textContent = kind === "sent" ? "↑" : "↓";
    direction.append(said, arrow);
  }
  cell(row, "type", type);
  cell(row, "number", moves ? bytes(size(data)) : "");
  cell(row, "number trip", trip);
  cell(row, "content", content(data));
  rows.push(row);
  if (rows.length > MAX_ROWS) rows.shift();
  showSoon();
}

function showSoon() {
  if (!showing) showing = requestAnimationFrame(show);
}

function show() {
  showing = 0;
  const scroll = $("scroll");
  const log = $("log");
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  log.append(...rows);
  rows = [];
  while (log.childElementCount > MAX_ROWS) log.firstElementChild.remove();
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  $("sent-count").textContent = `${sent} sent`;
  $("received-count").textContent = `${received} received`;
  showTimes();
}

function showState(state, text) {
  document.body.dataset.state = state;
  $("state").value = text;
  for (const control of document.querySelectorAll("[data-needs-open]")) control.disabled = state !== "open";
  $("reconnect").disabled = state === "connecting" || state === "closing";
}

// The round trip

function measured(ms) {
  samples.push(ms);
  if (samples.length > MAX_SAMPLES) samples.shift();
}

function showTimes() {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const [last, mid, min] = sorted.length
    ? [samples.at(-1), median, sorted[0]].map(milliseconds)
    : ["–", "–", "–"];
  $("rtt-last").textContent = last;
  $("rtt-median").textContent = mid;
  $("rtt-min").textContent = min;
  $("plot").setAttribute("aria-label", sorted.length
    ? `${sorted.length} round-trip times: last ${last}, median ${mid}, least ${min}, most ${milliseconds(sorted.at(-1))}`
    : "No round trip was measured yet");
  draw();
}

// A round number above all samples, so that the scale does not tremble.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= value);
}

function draw() {
  const canvas = $("plot");
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const [left, right, top, bottom] = [8, width - 8, 24, height - 8];
  pen.strokeStyle = color("--line");
  for (const y of [top, (top + bottom) / 2, bottom]) {
    pen.beginPath();
    pen.moveTo(left, Math.round(y) + 0.5);
    pen.lineTo(right, Math.round(y) + 0.5);
    pen.stroke();
  }
  $("scale").textContent = "";
  if (!samples.length) return;
  const limit = ceiling(Math.max(...samples, 0.01));
  $("scale").textContent = `${limit < 0.1 ? limit.toFixed(2) : +limit.toPrecision(1)} ms`;
  // The newest is at the right; few samples are spread over a quarter of the width at least.
  const step = (right - left) / Math.max(MAX_SAMPLES / 4, samples.length - 1);
  const points = samples.map((ms, i) => [right - (samples.length - 1 - i) * step, bottom - (ms / limit) * (bottom - top)]);
  pen.beginPath();
  for (const point of points) pen.lineTo(...point);
  pen.strokeStyle = pen.fillStyle = color("--accent");
  pen.lineWidth = 1.75;
  pen.lineJoin = pen.lineCap = "round";
  pen.stroke();
  pen.lineTo(points.at(-1)[0], bottom);
  pen.lineTo(points[0][0], bottom);
  pen.globalAlpha = 0.12;
  pen.fill();
  pen.globalAlpha = 1;
  pen.beginPath();
  pen.arc(...points.at(-1), 3, 0, 2 * Math.PI);
  pen.fill();
}

// The connection

function connect() {
  samples = [];
  showSoon();
  showState("connecting", "connecting");
  worker.postMessage({ command: "connect", url });
}

const events = {
  opened({ extensions }) {
    showState("open", "open");
    addRow("event", "open", extensions ? `connected, with ${extensions}` : "connected");
    setTimeout(probe, SETTLED_MS);
  },

  received({ data, trip }) {
    const isText = typeof data === "string";
    received += 1;
    if (trip !== null) measured(trip);
    addRow("received", isText ? "text" : "binary", data, trip === null ? "" : milliseconds(trip));
    if (isText && !data.startsWith("probe ")) $("news").textContent = `received: ${data}`;
  },

  closed({ code, reason, wasClean }) {
    const name = NAMES[code] ?? (code >= 4000 ? "application" : "library");
    const said = reason ? `: ${reason}` : "";
    const lost = wasClean ? "" : ", without a closing handshake";
    document.body.dataset.clean = code === 1000;
    showState("closed", `closed: ${code} (${name})`);
    addRow(code === 1000 ? "event" : "event bad", "close", `${code} (${name})${said}${lost}`);
    if (reconnecting) {
      reconnecting = false;
      connect();
    } else if (document.activeElement === document.body || document.activeElement === $("close")) {
      $("reconnect").focus();
    }
  },
};

function send(data) {
  if (document.body.dataset.state !== "open") return false;
  worker.postMessage({ command: "send", data });
  sent += 1;
  addRow("sent", typeof data === "string" ? "text" : "binary", data);
  return true;
}

function probe() {
  probes += 1;
  return send(`probe ${probes}`);
}

function closeWith(code, reason) {
  const allowed = code === 1000 || (code >= 3000 && code <= 4999);
  const fits = utf8.encode(reason).length <= 123;
  $("close-hint").classList.toggle("bad", !(allowed && fits));
  $("close-hint").textContent = fits
    ? "Code: 1000, or 3000 to 4999"
    : "A reason has at most 123 bytes.";
  if (!allowed || !fits) {
    (fits ? $("code") : $("reason")).focus();
    return;
  }
  showState("closing", "closing");
  worker.postMessage({ command: "close", code, reason });
}

// The controls

$("url").textContent = url;
$("command").textContent = `${$("command").dataset.program} connect ${url}`;

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (send($("text").value)) $("text").value = "";
  $("text").focus();
});
$("probe").addEventListener("click", probe);
$("binary").addEventListener("click", () => send(crypto.getRandomValues(new Uint8Array(+$("size").value)).buffer));
$("closer").addEventListener("submit", (event) => {
  event.preventDefault();
  closeWith(+$("code").value, $("reason").value);
});
$("reconnect").addEventListener("click", () => {
  if (document.body.dataset.state === "open") {
    reconnecting = true;
    closeWith(1000, "reconnecting");
  } else {
    connect();
  }
  $("text").focus();
});
$("clear").addEventListener("click", () => {
  $("log").replaceChildren();
  rows = [];
  sent = received = 0;
  showSoon();
});
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("command").textContent);
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
});
setInterval(() => {
  if ($("keep-probing").checked) probe();
}, PROBE_MS);
new ResizeObserver(draw).observe($("plot"));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

worker.addEventListener("message", ({ data }) => events[data.event](data));
connect();
$("text").focus();
