// The dashboard: rooms to join, who else is there, and who serves. live.js keeps the connection,
// room.js knows one room.

import { Live } from "./live.js";
import { COLORS, Room } from "./room.js";

const $ = (id) => document.getElementById(id);
const FRAME_MS = 40;
const CALM_FRAME_MS = 1000; // for who wants less motion
const SILENCE_MS = 5000; // a process that tells nothing for so long has gone
const PARTED_S = 20;
const MAX_SAMPLES = 60;

const rooms = new Map(); // those that were joined
const processes = new Map(); // name -> { status, at }
const samples = [];
let served = null; // what the server has said of itself
let reconnects = -1;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
sessionStorage.viewer ??= `viewer ${Math.random().toString(36).slice(2, 6)}`;

const milliseconds = (ms) => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// Rooms. Which ones stands in the address: a reload, and who is sent the link, joins the same

function join(name) {
  const element = $("plot").content.firstElementChild.cloneNode(true);
  element.dataset.room = name;
  element.querySelector("h2").textContent = name;
  element.querySelector(".canvas").setAttribute("aria-label", `Temperature in ${name}, the last minute`);
  $("plots").append(element);
  const room = new Room(name, element);
  rooms.set(name, room);
  ask(room);
}

// Join, or join again: what was missed is sent first, as far as it is kept.
function ask(room) {
  if (room.sources.size) room.resumedAt = live.serverTime;
  live.say({ do: "join", room: room.name, since: room.offset });
}

function leave(name) {
  live.say({ do: "leave", room: name });
  rooms.get(name).remove();
  rooms.delete(name);
}

function toggle(name) {
  if (rooms.has(name)) leave(name);
  else join(name);
  history.replaceState(null, "", `#${[...rooms.keys()].map(encodeURIComponent).join(",")}`);
  showRooms();
}

function wanted() {
  const named = location.hash.slice(1).split(",").map(decodeURIComponent).filter((name) => served.rooms.includes(name));
  return named.length ? named : served.rooms.slice(0, 3);
}

// What the server says

const said = {
  hello(message) {
    served = message;
    live.say({ do: "hello", name: sessionStorage.viewer, policy: "drop_oldest" });
    $("served").textContent = `served by ${message.process}, process ${message.pid}, ${message.build} build`;
    for (const [name, room] of rooms) {
      if (served.rooms.includes(name)) ask(room);
      else leave(name);
    }
    if (!rooms.size) wanted().forEach(join);
    showRooms();
  },

  value(message) {
    const room = rooms.get(message.room);
    if (room?.add(message)) showTally(room);
  },

  status(message) {
    const before = processes.get(message.process)?.status;
    if (message.ended) processes.delete(message.process);
    else processes.set(message.process, { status: message, at: performance.now() });
    // While the bus was away nothing came that could fill a gap.
    if (message.process === served?.process && before && !before.bus.connected && message.bus.connected) rooms.forEach(ask);
    showPeople();
  },

  error({ text }) {
    notice(text);
  },
};

const live = new Live(`ws://${location.host}/dashboard/live`, {
  connecting(attempt) {
    showState("connecting", attempt ? `connecting, attempt ${attempt}` : "connecting");
  },
  opened() {
    reconnects += 1;
    $("reconnects").textContent = reconnects;
    showState("open", "live");
    notice("");
  },
  message(message) {
    said[message.is]?.(message);
  },
  lost({ code, reason, pause, attempt }) {
    showState("waiting", `lost: ${code}`);
    notice(`Connection lost (${code}${reason ? `: ${reason}` : ""}). Attempt ${attempt} in ${(pause / 1000).toFixed(1)} s.`);
  },
  rtt(ms) {
    samples.push(ms);
    if (samples.length > MAX_SAMPLES) samples.shift();
    const median = [...samples].sort((a, b) => a - b)[samples.length >> 1];
    $("rtt-last").textContent = milliseconds(ms);
    $("rtt-median").textContent = milliseconds(median);
  },
});

// What is shown

function showState(state, text) {
  document.body.dataset.state = state;
  $("state").value = text;
  $("now").hidden = state !== "waiting";
  for (const control of document.querySelectorAll("[data-needs-open]")) control.disabled = state !== "open";
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text;
}

function showRooms() {
  const counts = (name) => [...processes.values()].reduce((sum, { status }) => sum + (status.rooms[name] ?? 0), 0);
  $("rooms").replaceChildren(...served.rooms.map((name) => {
    const chip = make("button", "chip", name);
    chip.type = "button";
    chip.setAttribute("aria-pressed", rooms.has(name));
    chip.append(make("span", "count", counts(name)));
    chip.title = `${counts(name)} are in this room`;
    chip.addEventListener("click", () => toggle(name));
    return chip;
  }));
}

function showTally(room) {
  room.element.querySelector(".lines").replaceChildren(...room.names.map((source, i) => {
    const line = make("li", "", "");
    line.style.color = `var(${COLORS[i % COLORS.length]})`;
    line.append(make("span", "source", source), make("strong", "value", `${room.sources.get(source).value.toFixed(1)} °C`));
    return line;
  }));
  const words = [`${room.missed} missed`];
  if (room.caughtUp) words.push(`${room.caughtUp} caught up`);
  const tally = room.element.querySelector(".tally");
  tally.textContent = words.join(" · ");
  tally.classList.toggle("bad", room.missed > 0);
}

const LOSES = { conflate: "conflated", drop_oldest: "oldest dropped", drop_newest: "newest dropped", close: "to be closed" };

function person(viewer, isMe) {
  const row = make("tr", viewer.dropped ? "behind" : "", "");
  const name = make("td", "name", viewer.name);
  if (isMe) name.append(make("span", "tag", "you"));
  if (viewer.dropped || viewer.waiting) name.append(make("span", "tag slow", LOSES[viewer.policy]));
  row.append(name, make("td", "number", viewer.rtt === null ? "–" : milliseconds(viewer.rtt)));
  row.append(make("td", "number", viewer.waiting), make("td", "number lost", viewer.dropped));
  return row;
}

function parted({ name, code }) {
  const row = make("tr", "parted", "");
  const cell = make("td", "name", name);
  cell.colSpan = 4;
  cell.append(make("span", "tag slow", `closed with ${code}`));
  row.append(cell);
  return row;
}

function showPeople() {
  const all = [...processes.values()].map(({ status }) => status);
  const count = all.reduce((sum, status) => sum + status.count, 0);
  const viewers = all.flatMap((status) => status.viewers);
  const recent = all.flatMap((status) => status.parted).filter(({ time }) => time > live.serverTime - PARTED_S);
  $("viewers").textContent = count;
  $("viewers-unit").textContent = count === 1 ? "viewer" : "viewers";
  viewers.sort((a, b) => (b.name === sessionStorage.viewer) - (a.name === sessionStorage.viewer) || a.name.localeCompare(b.name));
  $("people").replaceChildren(...viewers.map((viewer) => person(viewer, viewer.name === sessionStorage.viewer)), ...recent.map(parted));
  $("more").hidden = viewers.length === count;
  $("more").textContent = `and ${count - viewers.length} more`;
  $("processes").replaceChildren(...all.sort((a, b) => a.process.localeCompare(b.process)).map((status) => {
    const bus = status.bus.connected ? status.bus.name : `${status.bus.name} away, ${status.bus.queued} queued`;
    const item = make("li", status.bus.connected ? "" : "away", "");
    const name = make("strong", "", status.process);
    if (status.process === served?.process) name.append(make("span", "tag", "serves you"));
    item.append(name, make("span", "", `process ${status.pid} · ${status.count} here · bus: ${bus}`));
    return item;
  }));
  if (served) showRooms();
}

// The controls, and the clock

$("now").addEventListener("click", () => live.tryNow());
$("slow").addEventListener("submit", (event) => {
  event.preventDefault();
  notice("");
  live.say({ do: "slow", policy: $("policy").value });
});
window.addEventListener("hashchange", () => {
  const named = wanted();
  for (const name of [...rooms.keys()]) if (!named.includes(name)) leave(name);
  for (const name of named) if (!rooms.has(name)) join(name);
  showRooms();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const room of rooms.values()) room.rebuild = true;
});

let drawn = 0;
function frame(now) {
  requestAnimationFrame(frame);
  if (now - drawn < (calm.matches ? CALM_FRAME_MS : FRAME_MS)) return;
  drawn = now;
  for (const room of rooms.values()) room.draw(live.serverTime);
}
requestAnimationFrame(frame);

setInterval(() => {
  for (const room of rooms.values()) room.forget(live.serverTime);
  for (const [name, { at }] of processes) if (performance.now() - at > SILENCE_MS) processes.delete(name);
  if (document.body.dataset.state === "open") showPeople();
}, 1000);

// For who looks from the console.
globalThis.dashboard = { live, rooms };
