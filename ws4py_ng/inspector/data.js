// What the page is given, and what one row of it is. Times are in microseconds.

"use strict";

const BASE64_STEP = 1 << 20; // a multiple of 4
const CLOSE = 8;
const TEXT = 1;

// The data stands in the page as base64. In steps, so that the page stays alive meanwhile.
async function* fromBase64(text) {
  for (let at = 0; at < text.length; at += BASE64_STEP) {
    const chars = atob(text.slice(at, at + BASE64_STEP));
    const bytes = new Uint8Array(chars.length);
    for (let i = 0; i < chars.length; i++) bytes[i] = chars.charCodeAt(i);
    yield bytes;
    await breathe();
  }
}

function breathe() {
  return new Promise((go) => setTimeout(go));
}

// gzip of: the length of the JSON (4 bytes), the JSON, the payloads.
async function unpack(pieces) {
  const gzip = new DecompressionStream("gzip");
  const feed = async () => {
    const writer = gzip.writable.getWriter();
    for await (const piece of pieces) await writer.write(piece);
    await writer.close();
  };
  const [buffer] = await Promise.all([new Response(gzip.readable).arrayBuffer(), feed()]);
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { ...head, payloads: new Uint8Array(buffer, 4 + length) };
}

// One connection. A row is named by a number: frames are 0, 1 …, messages -1, -2 …
class Trace {
  constructor(about, capture) {
    this.about = about;
    this.names = capture.names;
    this.payloads = capture.payloads;
    this.places = new Map(about.frames.number.map((number, place) => [number, place]));
    this.messages = new Map(about.messages.number.map((number, place) => [number, ~place]));
  }

  // All rows of a view, in the order in which the frames came. Messages stand where their last frame did;
  // in their place control frames, and frames that never became a message.
  rows(view) {
    const { frames, messages } = this.about;
    if (view === "frames") return Int32Array.from(frames.number.keys());
    const found = [];
    let next = 0;
    const messagesUntil = (number) => {
      while (next < messages.number.length && messages.last[next] <= number) found.push(~next++);
    };
    for (let place = 0; place < frames.number.length; place++) {
      messagesUntil(frames.number[place]);
      const alone = (frames.first[place] & 15) >= CLOSE || frames.message[place] < 0;
      if (alone || frames.violation[place]) found.push(place);
    }
    messagesUntil(Infinity);
    return Int32Array.from(found);
  }

  row(id) {
    return id < 0 ? this.message(~id) : this.frame(id);
  }

  frame(place) {
    const { frames } = this.about;
    const first = frames.first[place];
    const opcode = first & 15;
    return {
      id: place,
      isFrame: true,
      number: frames.number[place],
      time: frames.time[place],
      gap: frames.gap[place],
      fromClient: frames.client[place] === 1,
      kind: this.names[opcode] ?? `opcode ${opcode}`,
      fin: (first & 0x80) !== 0,
      rsv: (first >> 4) & 7,
      opcode,
      offset: frames.offset[place],
      head: frames.head[place],
      size: frames.size[place],
      at: frames.at[place],
      kept: frames.kept[place],
      message: frames.message[place],
      latency: frames.latency[place],
      violation: frames.violation[place],
      close: frames.close[place],
      isText: opcode !== 2 && (first & 0x70) === 0,
    };
  }

  message(place) {
    const { messages } = this.about;
    const isText = messages.text[place] === 1;
    return {
      id: ~place,
      isFrame: false,
      number: messages.number[place],
      time: messages.time[place],
      gap: messages.gap[place],
      fromClient: messages.client[place] === 1,
      kind: isText ? "text" : "binary",
      size: messages.size[place],
      wire: messages.wire[place],
      frames: messages.frames[place],
      compressed: messages.compressed[place] === 1,
      last: messages.last[place],
      at: messages.at[place],
      kept: messages.kept[place],
      isText,
    };
  }

  bytes(row, most = Infinity) {
    return this.payloads.subarray(row.at, row.at + Math.min(row.kept, most));
  }

  // A payload may have been cut within a character, which is no fault of its own.
  text(row, most = Infinity) {
    if (row.close !== undefined) return row.close;
    const bytes = this.bytes(row, most);
    return new TextDecoder().decode(bytes, { stream: bytes.length < row.size });
  }

  // Where text stops being UTF-8; -1 if it is.
  invalidAt(row) {
    const bytes = this.bytes(row);
    const isGood = (end) => {
      try {
        new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream: end < row.size });
        return true;
      } catch {
        return false;
      }
    };
    if (isGood(bytes.length)) return -1;
    let [good, bad] = [0, bytes.length];
    while (bad - good > 1) {
      const middle = (good + bad) >> 1;
      if (isGood(middle)) good = middle;
      else bad = middle;
    }
    // What is good may end within the character that goes wrong: count those that are complete.
    const complete = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, good), { stream: true });
    return new TextEncoder().encode(complete).length;
  }
}

// A function that tells whether a row is looked for; null for an empty search. Throws for a bad /regex/.
function searchFor(query) {
  if (!query) return null;
  const regex = /^\/(.+)\/$/s.exec(query);
  if (regex) {
    const pattern = new RegExp(regex[1], "iu");
    return (trace, row) => row.isText && pattern.test(trace.text(row));
  }
  const lower = query.toLowerCase();
  const binary = new TextDecoder("latin1");
  const digits = query.replace(/\s/g, "");
  const isHex = /^([0-9a-f]{2})+$/i.test(digits);
  const needle = isHex ? binary.decode(Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16))) : "";
  return (trace, row) => {
    if (row.violation?.toLowerCase().includes(lower)) return true;
    if (row.isText) return trace.text(row).toLowerCase().includes(lower);
    const text = binary.decode(trace.bytes(row));
    return text.toLowerCase().includes(lower) || (isHex && text.includes(needle));
  };
}

// What would hide, turn or break a line, by name. Joiners stay: letters and emoji are made with them.
const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const byName = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
const plain = (text) => text.replace(HIDDEN, (char) => (char === "\t" ? char : byName(char)));
const oneLine = (text) => text.replace(HIDDEN, (char) => (char === "\t" ? "⇥" : byName(char))).replaceAll("\n", "⏎");
const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

const grouped = new Intl.NumberFormat("en");
const digits = (value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${digits(bytes / 1024)} KiB`;
  return `${digits(bytes / 1024 / 1024)} MiB`;
}

function span(micros) {
  if (micros < 1000) return `${micros} µs`;
  if (micros < 1e6) return `${digits(micros / 1000)} ms`;
  if (micros < 120e6) return `${digits(micros / 1e6)} s`;
  const minutes = Math.floor(micros / 60e6);
  return `${grouped.format(minutes)} min ${Math.floor((micros % 60e6) / 1e6)} s`;
}

const count = (number, one) => `${grouped.format(number)} ${one}${number === 1 ? "" : "s"}`;

// An element, by its tag, its properties and what is in it. Text is only ever text.
function el(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
