// The same as ../http_hello.rs.
const http = require("http");

const server = http.createServer((request, response) => {
  response.statusCode = 200;
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end("Hello, HTTP Server!\n");
});

server.listen(3000, "127.0.0.1", () => {
  console.log("listening on http://127.0.0.1:3000/");
});

process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
});
