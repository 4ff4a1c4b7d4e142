// The WebSocket, in a thread of its own: painting the page would delay the echo whose time
// is being measured.

let socket = null;
let waiting = []; // when each message was sent whose echo is still to come

const commands = {
  connect({ url }) {
    const mine = new WebSocket(url);
    mine.binaryType = "arraybuffer";
    socket = mine;
    waiting = [];
    mine.addEventListener("open", () => postMessage({ event: "opened", extensions: mine.extensions }));
    mine.addEventListener("message", ({ data }) => {
      const now = performance.now();
      const since = waiting.shift();
      postMessage({ event: "received", data, trip: since === undefined ? null : now - since });
    });
    mine.addEventListener("close", ({ code, reason, wasClean }) => postMessage({ event: "closed", code, reason, wasClean }));
  },

  send({ data }) {
    if (socket.readyState !== WebSocket.OPEN) return;
    waiting.push(performance.now());
    socket.send(data);
  },

  close({ code, reason }) {
    socket.close(code, reason);
  },
};

addEventListener("message", ({ data }) => commands[data.command](data));
