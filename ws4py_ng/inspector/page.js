// The page of `ws4py-ng inspect`: what is chosen, and who shows it.

"use strict";

const $ = (id) => document.getElementById(id);
const MOST_WORDS = 300;
const EXCERPT = 400; // bytes of a payload that a row shows
const SLICE = 12; // milliseconds of searching without a pause
const PATIENCE = 1000; // milliseconds between two questions for newer data

const state = { capture: null, trace: null, rows: new Int32Array(), at: 0, selection: 0 };

const rows = new List($("rows"), {
  label: "Frames and messages",
  rowHeight: 28,
  fill: fillRow,
  chosen: (index) => show(state.rows[index]),
  opened: (index) => show(state.rows[index], true),
  scrolled: () => timeline.mark(rows.first, rows.last, rows.current),
});
const connections = new List($("connections"), {
  label: "Connections",
  rowHeight: 28,
  fill: fillConnection,
  chosen: (index) => choose(index),
});
const timeline = new Timeline($("timeline"), (index) => rows.choose(index, false, true));
const detail = new Detail($("detail"), { go, left: () => rows.scroller.focus() });

function fillRow(element, index) {
  const { trace } = state;
  const row = trace.row(state.rows[index]);
  element.className = `cells ${row.fromClient ? "client" : "server"}${row.violation ? " bad" : ""}`;
  const kind = row.isFrame ? `${row.kind}${row.fin ? "" : "…"}` : row.kind;
  const cells = [
    (row.time / 1e6).toFixed(6),
    row.gap >= 1000 ? `+${span(row.gap)}` : "",
    row.fromClient ? "client →" : "← server",
    kind,
    row.size > row.wire ? `${grouped.format(row.size)} (${(row.size / row.wire).toFixed(1)}×)` : grouped.format(row.size),
  ];
  while (element.childElementCount < 6) element.append(el("span"));
  cells.forEach((text, place) => (element.children[place].textContent = text));
  element.children[1].classList.toggle("long", row.gap >= 1e6);
  element.children[5].replaceChildren(...content(trace, row));
}

function content(trace, row) {
  const made = [];
  if (row.violation) made.push(el("b", {}, `! ${row.violation} `));
  if (row.latency !== undefined) made.push(el("i", {}, `${span(row.latency)} `));
  if (row.isFrame && row.rsv & 4) made.push(el("i", {}, `compressed${row.message < 0 ? "" : `, message ${row.message}`}`));
  else if (row.isText) made.push(oneLine(trace.text(row, EXCERPT)));
  else made.push(pairs(trace.bytes(row, 48)));
  return made;
}

function fillConnection(element, index) {
  const about = state.capture.connections[index];
  const [client, server] = about.total;
  const wrong = about.violations.length ? count(about.violations.length, "violation") : about.heads.some((head) => head.fault) && "bad handshake";
  element.className = `cells${wrong ? " bad" : ""}`;
  const cells = [
    `${about.connection}`,
    oneLine(about.target) || about.role,
    count(client.frames + server.frames, "frame"),
    wrong ? `! ${wrong}` : oneLine(about.closed) || "not closed",
  ];
  while (element.childElementCount < 4) element.append(el("span"));
  cells.forEach((text, place) => (element.children[place].textContent = cut(text, MOST_WORDS)));
}

// Show a connection, by its place.
function choose(place) {
  state.at = place;
  state.trace = new Trace(state.capture.connections[place], state.capture);
  detail.clear();
  describe(state.trace.about);
  return select();
}

function describe(about) {
  const secure = about.secure ? "TLS" : "";
  const peers = about.local && about.peer ? `${about.peer} to ${about.local}` : "";
  const said = [about.target, about.status, about.subprotocol, about.extensions, about.transport, secure, peers];
  $("heading").textContent = [`Seen by the ${about.role}`, ...said]
    .filter(Boolean)
    .map((text) => cut(oneLine(text), MOST_WORDS))
    .join(" · ");
  $("facts").replaceChildren(...facts(about));
  $("wrongs").hidden = !about.violations.length;
  $("wrongs").replaceChildren(
    ...about.violations.slice(0, 20).map(([number, client, text]) =>
      el("li", {}, jumper(number, `Frame ${number} of the ${client ? "client" : "server"}: ${oneLine(text)}`)),
    ),
  );
  const faults = about.heads.some((head) => head.fault);
  $("handshake").hidden = !about.heads.some((head) => head.fault || head.text);
  $("handshake").open = faults;
  $("heads").replaceChildren(
    ...about.heads.flatMap((head) => [
      ...(head.fault ? [el("p", { className: "violation" }, oneLine(head.fault))] : []),
      ...(head.text ? limited(plain(head.text.replaceAll("\r\n", "\n")).trimEnd(), 4000) : []),
    ]),
  );
}

// Nothing for a time that no calendar has, as in a file that is damaged.
function date(seconds) {
  const found = new Date(seconds * 1000);
  return isNaN(found) ? "" : found.toISOString().replace(/\.\d+Z/, " UTC").replace("T", " ");
}

function facts(about) {
  const [client, server] = about.total;
  const sent = (total) => `${count(total.messages, "message")}, ${size(total.size)}`;
  const wire = (total) => `${count(total.frames, "frame")}, ${size(total.wire)}`;
  const [answered, least, middle, most] = about.latencies;
  const found = [
    ["From the client", sent(client), wire(client)],
    ["From the server", sent(server), wire(server)],
    ["Lasted", span(about.lasted), about.began ? date(about.began) : ""],
  ];
  if (about.longest_gap) found.push(["Longest gap", jumper(about.longest_gap[0], span(about.longest_gap[1])), `before frame ${about.longest_gap[0]}`]);
  if (about.pings) {
    const within = answered ? `${span(least)} to ${span(most)}` : "";
    found.push(["Ping to Pong", answered ? span(middle) : "no answer", `${answered} of ${count(about.pings, "ping")} answered${within ? `, ${within}` : ""}`]);
  }
  if (about.ratio !== null) found.push(["Compression", smaller(about.ratio), "on the wire"]);
  found.push(["Closed", about.closed ? oneLine(about.closed) : "no Close frame", cut(about.ends.map(oneLine).join("; "), MOST_WORDS)]);
  return found.map(([name, value, more]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value, ...(more ? [el("small", {}, more)] : []))),
  );
}

// A button that leads to a frame, or, where frames are left out, its text.
function jumper(number, text) {
  const place = state.trace.places.get(number);
  return place === undefined ? text : el("button", { type: "button", className: "jump", onclick: () => go(place) }, text);
}

// Lead to a row, and show the view and the rows that it is in.
async function go(id) {
  let index = state.rows.indexOf(id);
  if (index < 0) {
    for (const name of ["search", "side", "kind"]) $(name).value = "";
    if (!state.trace.rows($("view").value).includes(id)) $("view").value = id < 0 ? "messages" : "frames";
    await select();
    index = state.rows.indexOf(id);
  }
  rows.choose(index, true, true);
}

// Apply the filters. A later call makes an earlier one give up.
async function select() {
  const mine = ++state.selection;
  const { trace } = state;
  const [view, side, kind] = ["view", "side", "kind"].map((name) => $(name).value);
  let isFound = null;
  try {
    isFound = searchFor($("search").value);
    $("search").setCustomValidity("");
  } catch (error) {
    $("search").setCustomValidity(error.message);
    $("count").textContent = error.message;
    return;
  }
  const all = trace.rows(view);
  const found = [];
  let pause = performance.now() + SLICE;
  for (const id of all) {
    const row = trace.row(id);
    const isWanted = (!side || (side === "client") === row.fromClient) && (!kind || (kind === "violation" ? row.violation : row.kind === kind));
    if (isWanted && (!isFound || isFound(trace, row))) found.push(id);
    if (performance.now() < pause) continue;
    $("count").textContent = `${grouped.format(found.length)} found …`;
    await breathe();
    if (mine !== state.selection) return;
    pause = performance.now() + SLICE;
  }
  state.rows = Int32Array.from(found);
  const isAll = found.length === all.length;
  $("count").textContent = isAll ? count(all.length, "row") : `${grouped.format(found.length)} of ${count(all.length, "row")}`;
  timeline.set(trace, state.rows);
  rows.set(found.length, detail.id === undefined ? -1 : state.rows.indexOf(detail.id));
}

function show(id, open = false) {
  detail.show(state.trace, id);
  if (open) detail.open();
  timeline.mark(rows.first, rows.last, rows.current);
}

// Take data, the first or newer. What was chosen stays, and who looks at the end goes on to do so.
async function take(capture) {
  const [isFirst, atEnd, id] = [!state.trace, rows.isAtEnd, detail.id];
  const opened = document.body.classList.contains("detailed");
  state.capture = capture;
  const all = capture.connections;
  const name = cut(oneLine(capture.source), MOST_WORDS) || "recording";
  document.title = `${name} · ws4py-ng inspect`;
  $("source").textContent = name;
  const wrong = all.reduce((sum, about) => sum + about.violations.length, 0);
  $("summary").textContent = [count(all.length, "connection"), ...(wrong ? [count(wrong, "violation")] : []), ...(capture.filtered ? ["filtered"] : [])].join(" · ");
  const left = all.reduce((sum, about) => sum + about.left_out, 0);
  const problems = [...capture.problems, ...(left ? [`${count(left, "row")} left out: choose by --connection, --from, --opcode or --text`] : [])];
  $("problems").hidden = !problems.length;
  $("problems").replaceChildren(...problems.map((text) => el("li", {}, oneLine(text))));
  if (!capture.with_frames) {
    $("view").value = "messages";
    $("view").disabled = true;
  }
  $("content").hidden = !all.length;
  $("connections").hidden = all.length < 2;
  if (!all.length) return;
  await choose(Math.min(state.at, all.length - 1));
  if (all.length > 1) connections.set(all.length, state.at);
  if (isFirst || id === undefined) {
    if (!isFirst && atEnd) rows.reveal(rows.count - 1);
    return;
  }
  detail.show(state.trace, id);
  if (opened) detail.open();
  rows.set(rows.count, state.rows.indexOf(id));
  if (atEnd) rows.reveal(rows.count - 1);
}

// Ask for newer data, less often the longer it takes.
async function follow() {
  let [tag, took] = ["", 0];
  for (;;) {
    await new Promise((go) => setTimeout(go, Math.max(PATIENCE, 4 * took)));
    try {
      const began = performance.now();
      const answer = await fetch("data", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.ok) {
        tag = answer.headers.get("ETag");
        await take(await unpack([new Uint8Array(await answer.arrayBuffer())]));
        took = performance.now() - began;
      }
      $("live").textContent = "live";
    } catch {
      $("live").textContent = "ended";
      return;
    }
  }
}

let typing;
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("change", (event) => event.target !== $("search") && select());
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(select, 120);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  $("search").focus();
});

(async () => {
  try {
    await take(await unpack(fromBase64($("data").textContent)));
    $("data").remove();
  } catch (error) {
    $("source").textContent = "Nothing to see";
    $("notice").hidden = false;
    $("notice").textContent = "DecompressionStream" in window ? `This page is damaged: ${error.message}` : "This browser is too old for this page: it has no DecompressionStream.";
    return;
  }
  if (document.documentElement.dataset.follow !== "true") return;
  $("live").hidden = false;
  await follow();
})();
