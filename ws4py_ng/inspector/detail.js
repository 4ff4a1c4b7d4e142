// One row in full: what is known of it, and its payload as text, JSON and hex.

"use strict";

const MOST_TEXT = 100_000;
const MOST_HEX = 16 * 256;

class Detail {
  // `go(id)` shows another row, `left()` is called when the user closes the pane.
  constructor(pane, { go, left }) {
    Object.assign(this, { pane, go, left, tab: "" });
    this.clear();
    pane.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  clear() {
    this.id = undefined;
    this.pane.replaceChildren(el("p", { className: "empty" }, "Choose a row to see what is in it."));
    document.body.classList.remove("detailed");
  }

  close() {
    document.body.classList.remove("detailed");
    this.left();
  }

  open() {
    document.body.classList.add("detailed");
  }

  show(trace, id) {
    const row = trace.row(id);
    this.id = id;
    const what = row.isFrame ? "Frame" : "Message";
    const close = el("button", { type: "button", className: "quiet close", onclick: () => this.close() }, "✕");
    close.setAttribute("aria-label", "Close the detail");
    this.pane.replaceChildren(
      el("div", { className: "title" }, el("h2", {}, `${what} ${row.number}`), ...this.links(trace, row), close),
      ...(row.violation ? [el("p", { className: "violation" }, row.violation)] : []),
      el("dl", {}, ...this.facts(row)),
      this.payload(trace, row),
    );
  }

  links(trace, row) {
    const link = (text, id) => el("button", { type: "button", className: "quiet", onclick: () => this.go(id) }, text);
    if (row.isFrame && trace.messages.has(row.message)) return [link(`Message ${row.message}`, trace.messages.get(row.message))];
    if (!row.isFrame && trace.places.has(row.last)) return [link(`Frame ${row.last}`, trace.places.get(row.last))];
    return [];
  }

  facts(row) {
    const facts = [
      ["From", row.fromClient ? "client" : "server"],
      ["Kind", row.isFrame && row.rsv & 4 ? `${row.kind}, compressed` : row.kind],
      ["Time", `${(row.time / 1e6).toFixed(6)} s`],
      ["Gap before", span(row.gap)],
      ["Size", `${grouped.format(row.size)} B`],
    ];
    if (row.isFrame) {
      facts.push(["Bits", ["FIN", "RSV1", "RSV2", "RSV3"].filter((_, bit) => [row.fin, row.rsv & 4, row.rsv & 2, row.rsv & 1][bit]).join(" ") || "none"]);
      facts.push(["Offset", grouped.format(row.offset)]);
      if (row.latency !== undefined) facts.push(["Round trip", `${span(row.latency)} since its Ping`]);
    } else {
      facts.push(["Frames", grouped.format(row.frames)]);
      if (row.compressed) facts.push(["On the wire", `${grouped.format(row.wire)} B, ${smaller(row.size / Math.max(row.wire, 1))}`]);
    }
    return facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  }

  payload(trace, row) {
    const isWhole = row.isText && row.kept === row.size && trace.invalidAt(row) < 0;
    const json = isWhole ? prettyJson(trace.text(row)) : null;
    const tabs = { Text: () => this.text(trace, row), Hex: () => this.hex(trace, row) };
    if (json !== null) tabs.JSON = () => limited(plain(json), MOST_TEXT);
    const names = ["Text", "JSON", "Hex"].filter((name) => name in tabs);
    const best = json !== null ? "JSON" : row.isText ? "Text" : "Hex";
    const body = el("div", { className: "body" });
    const buttons = names.map((name) => {
      const button = el("button", { type: "button", onclick: () => choose(name, true) }, name);
      button.setAttribute("role", "tab");
      return button;
    });
    const choose = (name, byUser) => {
      if (byUser) this.tab = name;
      buttons.forEach((button) => button.setAttribute("aria-selected", button.textContent === name));
      body.replaceChildren(...tabs[name]());
    };
    const list = el("div", { className: "tabs" }, ...buttons, this.saving(trace, row));
    list.setAttribute("role", "tablist");
    choose(names.includes(this.tab) ? this.tab : best, false);
    const notes = [];
    if (row.kept < row.size) notes.push(`This page has the first ${size(row.kept)} of ${size(row.size)}.`);
    return el("div", { className: "payload" }, list, ...notes.map((note) => el("p", { className: "note" }, note)), body);
  }

  saving(trace, row) {
    const save = () => {
      const url = URL.createObjectURL(new Blob([trace.bytes(row)]));
      const name = `${row.isFrame ? "frame" : "message"}-${row.number}.${row.isText ? "txt" : "bin"}`;
      el("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    };
    return el("button", { type: "button", className: "quiet save", onclick: save }, "Save");
  }

  text(trace, row) {
    const made = [];
    if (row.isFrame && row.rsv & 4) made.push(el("p", { className: "note" }, "Compressed: the message has it inflated."));
    const at = row.isText && row.close === undefined ? trace.invalidAt(row) : -1;
    if (at >= 0) made.push(el("p", { className: "note bad" }, `Not UTF-8 from byte ${grouped.format(at)} on.`));
    return [...made, ...limited(plain(trace.text(row)), MOST_TEXT)];
  }

  hex(trace, row) {
    const header = row.isFrame ? trace.payloads.subarray(row.at - row.head, row.at) : null;
    const made = header ? [el("p", { className: "note" }, `Header ${pairs(header)}`)] : [];
    const bytes = trace.bytes(row);
    return [...made, ...more(bytes.length, MOST_HEX, (end) => dump(bytes.subarray(0, end)))];
  }
}

const smaller = (ratio) => (ratio < 1 ? "larger than the data" : `${ratio.toFixed(1)} times smaller`);

// A long text, at first only its beginning: more of it when asked for.
function limited(text, most) {
  return more(text.length, most, (end) => text.slice(0, end));
}

function more(length, most, show) {
  const shown = el("pre", {}, show(Math.min(length, most)) || "(nothing)");
  let end = most;
  const button = el("button", { type: "button", className: "quiet" });
  const label = () => (button.textContent = `Show more: ${grouped.format(end)} of ${grouped.format(length)} so far`);
  button.onclick = () => {
    end = Math.min(end * 4, length);
    shown.textContent = show(end);
    if (end < length) label();
    else button.remove();
  };
  if (length <= most) return [shown];
  label();
  return [shown, button];
}

const pairs = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const text = Array.from(row, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${pairs(row).padEnd(47)}  |${text}|`);
  }
  return lines.join("\n");
}

// Indented, with every number and every key as it was sent; null for what is no object and no array.
function prettyJson(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const made = [];
  let depth = 0;
  const line = () => made.push("\n", "  ".repeat(Math.min(depth, 20)));
  let before = "";
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s[\]{}:,"]+/gs)) {
    const closes = token === "]" || token === "}";
    if (closes) depth--;
    const opened = before === "[" || before === "{";
    if (closes ? !opened : opened || before === ",") line();
    made.push(token === ":" ? ": " : token);
    if (token === "[" || token === "{") depth++;
    before = token;
  }
  return made.join("");
}
