// Node's HTTP as a peer of the gateway.
//
//     peer.js server PORT1 PORT2    the same service over HTTP/1.1 and over HTTP/2 in clear text
//     peer.js client ORIGIN PREFIX  asks that service through a gateway; prints `WHAT: ok`, or what was wrong
'use strict';

const assert = require('node:assert');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const { once } = require('node:events');

const SECONDS_MAX = 100;
const STREAMS_COUNT = 90;
const BODY = crypto.createHash('sha512').update('towpath').digest().toString('hex').repeat(1 << 15);

// What the service has seen.
const seen = { requests: 0, aborted: 0, reported: '' };

const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');

async function bodyOf(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** Answers with a body and a trailer, whatever the version. */
function answer(response, body) {
  response.writeHead(200, { trailer: 'x-last' });
  response.write(body);
  response.addTrailers({ 'x-last': 'yes' });
  response.end();
}

async function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://node');
  if (!['/seen', '/small', '/reported'].includes(pathname)) seen.requests += 1;
  switch (pathname) {
    case '/small':
      return response.writeHead(200, { 'content-length': 6 }).end('hello\n');
    case '/trailing': return answer(response, 'hello\n');
    case '/large': return fs.createReadStream('www/large').pipe(response);
    case '/body': return answer(response, BODY);
    case '/digest': return answer(response, digest(await bodyOf(request)));
    case '/client': return response.end(request.headers['x-client'] ?? 'nobody');
    case '/trailers': {
      await bodyOf(request);
      return response.end(request.trailers['x-first'] ?? 'none');
    }
    case '/early': {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      return response.end('late');
    }
    case '/torn': {
      response.write('half');
      setTimeout(() => (response.stream ? response.stream.close(2) : response.socket.destroy()), 100);
      return undefined;
    }
    case '/never': {
      // Of HTTP/1.1 the request, of HTTP/2 the stream is what ends early.
      (response.stream ?? response).on('close', () => { seen.aborted += 1; });
      return undefined;
    }
    case '/report': {
      const { fetches, ...rest } = Object.fromEntries(searchParams);
      seen.reported = JSON.stringify({ fetches: JSON.parse(fetches), ...rest });
      return response.end();
    }
    case '/reported': return response.end(seen.reported);
    case '/seen': return response.end(JSON.stringify(seen));
    default: return response.writeHead(404).end();
  }
}

/** A frame of WebSocket (RFC 6455 §5.2), masked if a client sends it. */
function frame(opcode, payload, isMasked) {
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.alloc(10);
  if (payload.length >= 126) {
    head.set([0x80 | opcode, 127]);
    head.writeUInt32BE(payload.length, 6);
  }
  if (!isMasked) return Buffer.concat([head, payload]);
  head[1] |= 0x80;
  const mask = crypto.randomBytes(4);
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ mask[at % 4])]);
}

/** Hands on each whole frame that comes, without its mask. */
function eachFrame(stream, take) {
  let held = Buffer.alloc(0);
  stream.on('data', (data) => {
    held = Buffer.concat([held, data]);
    for (;;) {
      if (held.length < 2) return;
      const [short, isMasked] = [held[1] & 0x7f, held[1] >= 0x80];
      const extra = { 126: 2, 127: 8 }[short] ?? 0;
      const at = 2 + extra + (isMasked ? 4 : 0);
      if (held.length < at) return;
      const length = extra ? held.readUIntBE(2 + Math.max(0, extra - 6), Math.min(extra, 6)) : short;
      if (held.length < at + length) return;
      const mask = held.subarray(at - 4, at);
      const payload = held.subarray(at, at + length).map((byte, index) => (isMasked ? byte ^ mask[index % 4] : byte));
      const opcode = held[0] & 0xf;
      held = held.subarray(at + length);
      take(opcode, payload);
    }
  });
}

/** Says what a client of WebSocket says, and goodbye when it does. */
function echo(stream, reader = stream) {
  stream.on('error', () => {});
  eachFrame(reader, (opcode, payload) => {
    stream.write(frame(opcode, payload, false));
    if (opcode === 8) stream.end();
  });
}

/** A WebSocket of HTTP/1.1 (RFC 6455 §4.2.2). */
function upgrade(request, socket) {
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  const head = ['HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket'];
  socket.write(`${[...head, `sec-websocket-accept: ${accept}`].join('\r\n')}\r\n\r\n`);
  echo(socket);
}

/** One of HTTP/2 (RFC 8441 §5). */
function connect(request, response) {
  response.writeHead(request.headers[':protocol'] === 'websocket' ? 200 : 501);
  response.flushHeaders();
  // What comes is the request's: read from the stream itself it would stop behind some kilobytes.
  echo(response.stream, request);
}

function server(port1, port2) {
  const handle = (request, response) => serve(request, response).catch(() => response.destroy?.());
  http.createServer({ keepAliveTimeout: 60_000 }, handle).on('upgrade', upgrade).listen(port1, '127.0.0.1', 1024);
  // By default Node resets streams when answers to a client take more than 10 MB.
  const settings = { maxConcurrentStreams: 100, enableConnectProtocol: true };
  const options = { maxSessionMemory: 1000, settings };
  http2.createServer(options, handle).on('connect', connect).listen(port2, '127.0.0.1', 1024);
}

/** A request to its end. */
async function ask(session, path, { body, trailers } = {}) {
  const method = body === undefined ? 'GET' : 'POST';
  const fields = { ':path': path, ':method': method, te: 'trailers' };
  const stream = session.request(fields, { endStream: body === undefined, waitForTrailers: Boolean(trailers) });
  const answer = { informational: [], trailers: {} };
  stream.on('headers', (interim) => answer.informational.push(interim[':status']));
  stream.on('trailers', (last) => { answer.trailers = last; });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  if (body !== undefined) stream.end(body);
  const [head] = await once(stream, 'response');
  answer.status = head[':status'];
  answer.body = (await bodyOf(stream)).toString();
  return answer;
}

const CASES = {
  async 'a WebSocket (RFC 8441)'(session, prefix) {
    if (!session.remoteSettings.enableConnectProtocol) await once(session, 'remoteSettings');
    assert.strictEqual(session.remoteSettings.enableConnectProtocol, true);
    const stream = session.request({
      ':method': 'CONNECT', ':protocol': 'websocket', ':path': `${prefix}/chat`, 'sec-websocket-version': '13' });
    const [head] = await once(stream, 'response');
    assert.strictEqual(head[':status'], 200);
    const [said, heard] = [[[1, 'hello'], [2, BODY], [9, 'there?'], [8, '\u0003\u00e8']], []];
    eachFrame(stream, (opcode, payload) => heard.push([opcode, payload.toString('latin1')]));
    said.forEach(([opcode, text]) => stream.write(frame(opcode, Buffer.from(text, 'latin1'), true)));
    stream.end();
    await once(stream, 'end');
    assert(heard.length === said.length && heard.flat().every((word, at) => word === said.flat()[at]), `${heard.length}`);
  },
  async 'get, with trailers'(session, prefix) {
    const answer = await ask(session, `${prefix}/trailing`);
    assert.deepStrictEqual([answer.status, answer.body, answer.trailers['x-last']], [200, 'hello\n', 'yes']);
  },
  async 'post and its digest'(session, prefix) {
    const answer = await ask(session, `${prefix}/digest`, { body: BODY });
    assert.deepStrictEqual([answer.status, answer.body, answer.trailers['x-last']], [200, digest(BODY), 'yes']);
  },
  async 'empty post'(session, prefix) {
    assert.strictEqual((await ask(session, `${prefix}/digest`, { body: '' })).body, digest(''));
  },
  async 'request trailers'(session, prefix) {
    const trailers = { 'x-first': 'before' };
    assert.strictEqual((await ask(session, `${prefix}/trailers`, { body: 'a', trailers })).body, 'before');
  },
  async 'early hints'(session, prefix) {
    const answer = await ask(session, `${prefix}/early`);
    assert.deepStrictEqual([answer.informational, answer.status, answer.body], [[103], 200, 'late']);
  },
  async '90 streams of 4 MiB at a time'(session, prefix) {
    const answers = await Promise.all(Array.from({ length: STREAMS_COUNT }, () => ask(session, `${prefix}/body`)));
    const digests = new Set(answers.map(({ status, body }) => `${status} ${digest(body)}`));
    assert.deepStrictEqual([...digests], [`200 ${digest(BODY)}`]);
  },
  async 'a slow reader beside a quick one'(session, prefix) {
    const slow = session.request({ ':path': `${prefix}/body` });
    slow.pause();
    await once(slow, 'response');
    assert.strictEqual((await ask(session, `${prefix}/body`)).body.length, BODY.length);
    slow.resume();
    assert.strictEqual(digest(await bodyOf(slow)), digest(BODY));
  },
  async ping(session) {
    await new Promise((resolve, reject) => { session.ping((error) => (error ? reject(error) : resolve())); });
  },
  async 'a reset by the client reaches the origin'(session, prefix) {
    const count = async () => JSON.parse((await ask(session, `${prefix}/seen`)).body).aborted;
    const before = await count();
    const stream = session.request({ ':path': `${prefix}/never` });
    stream.on('error', () => {});
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    stream.close(http2.constants.NGHTTP2_CANCEL);
    for (let turn = 0; (await count()) === before; turn += 1) {
      assert(turn < 100, 'the origin did not see it');
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  },
  async 'a torn answer is a reset, and its connection serves on'(session, prefix) {
    await assert.rejects(ask(session, `${prefix}/torn`), /NGHTTP2_(INTERNAL_ERROR|CANCEL)/);
    assert.strictEqual((await ask(session, `${prefix}/small`)).status, 200);
  },
  async 'goodbye'(session) {
    session.close();
    await once(session, 'close');
  },
};

async function client(origin, prefix) {
  const session = http2.connect(origin);
  session.on('error', (error) => console.log(`session: ${error.message}`));
  for (const [name, test] of Object.entries(CASES)) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer')), 20_000); });
    const wrong = (error) => error.message.replaceAll('\n', ' ').slice(0, 300);
    const result = await Promise.race([test(session, prefix), late]).then(() => 'ok', wrong);
    clearTimeout(timer);
    console.log(`${name}: ${result}`);
  }
}

const [role, ...args] = process.argv.slice(2);
if (role === 'server') {
  server(...args.map(Number));
} else {
  setTimeout(() => process.exit(1), SECONDS_MAX * 1000).unref();
  client(...args).then(() => process.exit(0));
}
