// gRPC-Web through the gateway to grpcio: the official client with a stand-in for the browser's XMLHttpRequest, which
// speaks HTTP/1.1, and a client that frames for itself, over Node's http2.
//
//     web.js ORIGIN    calls the service of `calls.py`; prints `WHAT: ok`, or what was wrong
'use strict';

const assert = require('node:assert');
const http2 = require('node:http2');
const { once } = require('node:events');

global.XMLHttpRequest = require('xhr2');
const { GrpcWebClientBase, MethodDescriptor, MethodType } = require('grpc-web');

const SERVICE = 'towpath.Peer';
const CALL_SECONDS_MAX = 20;
const LARGE = Buffer.alloc(1 << 20, 'towpath!');

const bytes = (text) => new Uint8Array(Buffer.from(text));
const text = (message) => Buffer.from(message).toString();

/** How the official client is told of a method; messages are bare bytes. */
function method(name, kind) {
  return new MethodDescriptor(name, kind, Uint8Array, Uint8Array, (message) => message, (message) => message);
}

/** A call to its end, as an event of each kind that its stream has. */
function call(client, origin, name, message, { service = SERVICE, metadata = {}, streaming = false } = {}) {
  const path = `/${service}/${name}`;
  const seen = { messages: [], trailers: {}, initial: {} };
  return new Promise((resolve) => {
    const collect = (stream) => stream
      .on('metadata', (fields) => Object.assign(seen.initial, fields))
      .on('status', (status) => Object.assign(seen.trailers, status.metadata));
    if (!streaming) {
      const descriptor = method(path, MethodType.UNARY);
      collect(client.rpcCall(origin + path, bytes(message), metadata, descriptor, (error, answer) => {
        // The status comes behind the answer.
        setImmediate(() => resolve({ ...seen, error, messages: error ? [] : [text(answer)] }));
      }));
      return;
    }
    const descriptor = method(path, MethodType.SERVER_STREAMING);
    collect(client.serverStreaming(origin + path, bytes(message), metadata, descriptor))
      .on('data', (answer) => seen.messages.push(text(answer)))
      .on('error', (error) => resolve({ ...seen, error }))
      .on('end', () => resolve(seen));
  });
}

const failure = ({ error }) => [error?.code, error?.message];

// What the official client tries in either format.
const OFFICIAL = {
  async 'unary, metadata both ways'(client, origin) {
    const answer = await call(client, origin, 'Echo', 'hello', { metadata: { 'x-text': 'a b' } });
    const { messages, initial, trailers } = answer;
    assert.deepStrictEqual([messages, initial['x-initial'], trailers['x-seen']], [['hello'], 'one', 'a b']);
  },
  async 'an empty message'(client, origin) {
    assert.deepStrictEqual((await call(client, origin, 'Echo', '')).messages, ['']);
  },
  async 'a message of 1 MiB'(client, origin) {
    assert((await call(client, origin, 'Echo', LARGE)).messages[0] === LARGE.toString());
  },
  async 'server streaming'(client, origin) {
    const { messages, error } = await call(client, origin, 'Spread', '200', { streaming: true });
    assert.deepStrictEqual([error, messages], [undefined, Array.from({ length: 200 }, (_, at) => `${at}`)]);
  },
  async 'a failure of the server\'s, with its words'(client, origin) {
    assert.deepStrictEqual(failure(await call(client, origin, 'Fail', '')), [8, 'zu groß, 100 %']);
  },
  async 'the server sees what remains'(client, origin) {
    const metadata = { deadline: `${Date.now() + 7000}` };
    const remaining = Number((await call(client, origin, 'Remain', '', { metadata })).messages[0]);
    assert(remaining > 4 && remaining < 7.1, `${remaining}`);
  },
  async 'a method that the server does not know'(client, origin) {
    assert.deepStrictEqual(failure(await call(client, origin, 'None', '')), [12, 'Method not found!']);
  },
  async 'a service that no route knows'(client, origin) {
    const [code] = failure(await call(client, origin, 'Echo', '', { service: 'towpath.None' }));
    assert.strictEqual(code, 12);
  },
  async 'a server that is down'(client, origin) {
    const answer = await call(client, origin, 'Echo', '', { service: 'towpath.Down' });
    assert.deepStrictEqual(failure(answer), [14, 'connect_refused']);
  },
};

/** A message as a frame. */
function frame(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, Buffer.from(message)]);
}

/** A call over HTTP/2 whose request is sent; the stream. */
function begin(session, name, message, isText, fields = {}) {
  const kind = `application/grpc-web${isText ? '-text' : '+proto'}`;
  const head = { ':method': 'POST', ':path': `/${SERVICE}/${name}`, 'content-type': kind, accept: kind, ...fields };
  const stream = session.request(head);
  const body = frame(message);
  stream.end(isText ? body.toString('base64') : body);
  return stream;
}

/** Reads base64 in pieces, each of which may be padded. */
const plain = (body) => Buffer.concat(body.match(/[^=]+=*/g).map((piece) => Buffer.from(piece, 'base64')));

/** The frames of a body: messages, and the trailers, which have to be the last. */
function frames(body) {
  const messages = [];
  for (let at = 0; at < body.length;) {
    const [flag, length] = [body[at], body.readUInt32BE(at + 1)];
    const data = body.subarray(at + 5, at + 5 + length);
    assert.strictEqual(data.length, length);
    at += 5 + length;
    if (flag === 0x80) {
      assert.strictEqual(at, body.length);
      return { messages, trailers: Object.fromEntries(data.toString().trimEnd().split('\r\n').map((l) => l.split(': '))) };
    }
    messages.push(data.toString());
  }
  return { messages };
}

async function answer(stream, isText) {
  const [head] = await once(stream, 'response');
  const parts = [];
  for await (const part of stream) parts.push(part);
  const body = Buffer.concat(parts);
  return { head, ...frames(isText ? plain(body.toString()) : body) };
}

// What is tried over HTTP/2 in either format.
const FRAMED = {
  async 'unary, with the trailers as the last frame'(session, isText) {
    const { head, messages, trailers } = await answer(begin(session, 'Echo', 'hello', isText), isText);
    const kind = `application/grpc-web${isText ? '-text' : ''}`;
    assert.deepStrictEqual([head[':status'], head['content-type'].startsWith(kind)], [200, true]);
    assert.deepStrictEqual([messages, trailers['grpc-status']], [['hello'], '0']);
  },
  async '1,000 messages'(session, isText) {
    const { messages, trailers } = await answer(begin(session, 'Spread', '1000', isText), isText);
    assert.deepStrictEqual([messages.length, messages[999], trailers['grpc-status']], [1000, '999', '0']);
  },
  async 'a message comes when it is sent, and the server sees a cancel'(session, isText) {
    const stream = begin(session, 'Wait', '', isText);
    const [part] = await once(stream, 'data');
    const first = isText ? plain(part.toString()) : part;
    assert.deepStrictEqual(frames(first).messages, ['here']);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    assert.deepStrictEqual((await answer(begin(session, 'WasCancelled', '', isText), isText)).messages, ['yes']);
  },
  async 'a deadline ends a call'(session, isText) {
    const stream = begin(session, 'Sleep', '5', isText, { 'grpc-timeout': '300m' });
    const [head] = await once(stream, 'response');
    stream.close();
    assert.deepStrictEqual([head[':status'], head['grpc-status']], [200, '4']);
  },
  async 'what is no base64'(session) {
    const stream = session.request({
      ':method': 'POST', ':path': `/${SERVICE}/Echo`, 'content-type': 'application/grpc-web-text' });
    stream.end('AAAA*');
    const [head] = await once(stream, 'response');
    stream.close();
    assert.deepStrictEqual([head['grpc-status'], head['grpc-message']], ['13', 'bad_grpc_web_text']);
  },
};

async function attempt(name, test) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), CALL_SECONDS_MAX * 1000);
  });
  const wrong = (error) => error.message.replaceAll('\n', ' ').slice(0, 300);
  const result = await Promise.race([test(), late]).then(() => 'ok', wrong);
  clearTimeout(timer);
  console.log(`${name}: ${result}`);
}

async function main(origin) {
  for (const format of ['binary', 'text']) {
    const client = new GrpcWebClientBase({ format });
    for (const [name, test] of Object.entries(OFFICIAL)) {
      // The client's own limit: it streams nothing in binary.
      if (format === 'binary' && name === 'server streaming') continue;
      await attempt(`official, ${format}: ${name}`, () => test(client, origin));
    }
  }
  const session = http2.connect(origin);
  for (const isText of [false, true]) {
    for (const [name, test] of Object.entries(FRAMED)) {
      await attempt(`h2, ${isText ? 'text' : 'binary'}: ${name}`, () => test(session, isText));
    }
  }
  session.close();
}

main(...process.argv.slice(2)).then(() => process.exit(0));
