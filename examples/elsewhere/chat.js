// The same as ../chat.rs, with npm's ws.
const fs = require("fs");
const http = require("http");
const { WebSocketServer } = require("ws");

const page = fs.readFileSync("chat.html");
const queued_bytes_max = 1 << 20;

const server = http.createServer((request, response) => {
  if (request.url !== "/") {
    response.writeHead(404).end("Not Found\n");
    return;
  }
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
  response.end(page);
});

const sockets = new WebSocketServer({ server, path: "/chat", maxPayload: 4 << 20 });

sockets.on("connection", (socket) => {
  socket.on("error", () => socket.terminate());
  socket.send("Hello Server");
  socket.on("message", (data, isBinary) => {
    if (isBinary) {
      return;
    }
    for (const other of sockets.clients) {
      if (other.bufferedAmount > queued_bytes_max) {
        other.close(1013, "too slow");
      } else {
        other.send(data.toString());
      }
    }
  });
});

process.on("SIGTERM", () => {
  sockets.clients.forEach((socket) => socket.close(1001));
  server.close();
});

server.listen(8080, "127.0.0.1");
