// A WebSocket that comes back. When it is lost it is tried again after a pause, which doubles each
// time and is random in part: when a server restarts, its viewers must not all come at once.

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
const PING_MS = 1000;
const PATIENCE_MS = 8000; // nothing heard for so long: the network has lost it, and told nobody

export class Live {
  // `on` has opened(), message(object), lost({ code, reason, pause, attempt }), connecting(attempt) and rtt(ms).
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.attempt = 0;
    this.skew = 0; // seconds that the server's clock is ahead of ours
    this.lastRtt = null;
    this.pings = new Map();
    this.number = 0;
    setInterval(() => this.ping(), PING_MS);
    window.addEventListener("online", () => this.tryNow());
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.pings.clear();
    this.bestRtt = Infinity;
    this.heard = performance.now();
    this.on.connecting(this.attempt);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.addEventListener("open", () => { if (socket === this.socket) this.on.opened(); });
    socket.addEventListener("message", ({ data }) => { if (socket === this.socket) this.received(JSON.parse(data)); });
    socket.addEventListener("close", ({ code, reason }) => { if (socket === this.socket) this.lost(code, reason); });
  }

  received(message) {
    this.heard = performance.now();
    if (message.is === "hello") this.attempt = 0; // it serves: next time begin with a short pause
    if (message.is === "pong") this.pong(message);
    else this.on.message(message);
  }

  say(order) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(order));
  }

  // A browser answers Pings, and lets no page send one: the round trip is that of a message.
  ping() {
    if (this.socket && performance.now() - this.heard > PATIENCE_MS) {
      this.socket.close();
      this.lost(1006, `nothing was heard for ${PATIENCE_MS / 1000} s`);
    }
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.number += 1;
    this.pings.set(this.number, performance.now());
    this.say({ do: "ping", id: this.number, rtt: this.lastRtt });
  }

  pong({ id, time }) {
    const since = this.pings.get(id);
    if (since === undefined) return;
    this.pings.delete(id);
    this.lastRtt = performance.now() - since;
    if (this.lastRtt < this.bestRtt) {
      this.bestRtt = this.lastRtt;
      this.skew = time + this.lastRtt / 2000 - Date.now() / 1000;
    }
    this.on.rtt(this.lastRtt);
  }

  lost(code, reason) {
    this.socket = null;
    this.lastRtt = null;
    // An attempt that comes to nothing says less than what it was lost by.
    if (!this.attempt || code !== 1006 || reason) this.cause = { code, reason };
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
    this.attempt += 1;
    this.timer = setTimeout(() => this.connect(), pause);
    this.on.lost({ ...this.cause, pause, attempt: this.attempt });
  }

  tryNow() {
    if (this.timer) this.connect();
  }

  get serverTime() {
    return Date.now() / 1000 + this.skew;
  }
}
