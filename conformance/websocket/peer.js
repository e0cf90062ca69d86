// npm's ws as a peer.
//
//     node peer.js client MODE PORT    dials an echo server; prints `WHAT: ok`, or what was wrong
//     node peer.js server MODE         says `port NUMBER` and echoes
'use strict';

const WebSocket = require('ws');

const MESSAGE_MAX = 4 << 20;
const MEBIBYTE = Buffer.from(Array.from({ length: 1 << 20 }, (_, at) => (Math.imul(at, 0x9e3779b1) >>> 13) & 0xff));
const LINES = Array.from({ length: 30000 }, (_, number) => `line ${number} of a text\n`).join('');

function deflate(mode) {
  const alone = mode === 'deflate-alone';
  const options = { serverNoContextTakeover: alone, clientNoContextTakeover: alone, threshold: 0 };
  return mode === 'plain' ? false : options;
}

function dial(mode, port) {
  const options = { perMessageDeflate: deflate(mode), maxPayload: MESSAGE_MAX };
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, options);
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(socket));
    socket.on('error', reject);
  });
}

const next = (socket, event) => new Promise((resolve) => socket.once(event, (...values) => resolve(values)));

function say(what, isRight) {
  console.log(`${what}: ${isRight ? 'ok' : 'wrong'}`);
}

async function isEchoed(socket, message) {
  socket.send(message);
  const [data, isBinary] = await next(socket, 'message');
  return isBinary === Buffer.isBuffer(message) && data.equals(Buffer.from(message));
}

async function messages(socket) {
  const all = {
    text: 'caf\u00e9 \u{1f6f6}', empty: '', binary: Buffer.from([...Array(256).keys()]),
    '125 bytes': Buffer.alloc(125, 'a'), '126 bytes': Buffer.alloc(126, 'a'),
    '64 KiB': Buffer.alloc(65536, 'a'), 'long text': LINES, '1 MiB': MEBIBYTE,
  };
  for (const [name, message] of Object.entries(all)) {
    // Twice, so that a kept window is used.
    say(name, (await isEchoed(socket, message)) && (await isEchoed(socket, message)));
  }
}

async function fragments(socket) {
  for (const piece of ['one, ', '', 'two, ']) socket.send(piece, { fin: false });
  const [data] = await Promise.all([next(socket, 'message'), socket.send('three')]);
  say('text in fragments', data[0].toString() === 'one, two, three');
}

async function ping(socket) {
  socket.ping('are you there?');
  const [data] = await next(socket, 'pong');
  say('ping', data.toString() === 'are you there?');
}

async function closing(mode, port, code, reason) {
  const socket = await dial(mode, port);
  socket.close(code, reason);
  const [found, said] = await next(socket, 'close');
  say(`close ${code}`, found === code && said.toString() === reason);
}

async function client(mode, port) {
  const socket = await dial(mode, port);
  say('handshake', (socket.extensions !== '') === (mode !== 'plain'));
  await messages(socket);
  await fragments(socket);
  await ping(socket);
  socket.close();
  for (const [code, reason] of [[1000, ''], [1001, 'caf\u00e9'], [3000, 'x'.repeat(123)], [4999, 'bye']]) {
    await closing(mode, port, code, reason);
  }
}

function server(mode) {
  const options = { host: '127.0.0.1', port: 0, perMessageDeflate: deflate(mode), maxPayload: MESSAGE_MAX };
  const serving = new WebSocket.Server(options, () => console.log(`port ${serving.address().port}`));
  serving.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    // It closes by itself, and says why; without this it would end the process as well.
    socket.on('error', () => {});
  });
}

const [role, mode, port] = process.argv.slice(2);
if (role === 'client') client(mode, port).catch((error) => { console.error(error); process.exit(1); });
else server(mode);
