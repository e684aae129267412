// A WebSocket client that can also misbehave, and on it a client of `countersign.v1.json`.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import net from "node:net";
import tls from "node:tls";
import { deferred } from "./http.mjs";
import { plant } from "./secrets.mjs";
import { Arrivals, within } from "./waiting.mjs";

export const subprotocol = "countersign.v1.json";
const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** One frame as a client sends it. */
export function clientFrame(opcode, payload, { fin = true, masked = true, reserved = 0 } = {}) {
  const data = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const maskBit = masked ? 0x80 : 0;
  if (data.length < 126) head.push(maskBit | data.length);
  else if (data.length < 65536) head.push(maskBit | 126, data.length >> 8, data.length & 255);
  else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(data.length));
    head.push(maskBit | 127, ...length);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), data]);
  const mask = crypto.randomBytes(4);
  const hidden = Buffer.from(data.map((byte, index) => byte ^ mask[index % 4]));
  return Buffer.concat([Buffer.from(head), mask, hidden]);
}

export class WebSocketClient {
  /**
   * Opens /v1/gateway. Rejects with `{status, body}` when the server answers without an upgrade.
   * @param origin  the Origin header; undefined: none, as native programs do.
   */
  static async open(server, options = {}) {
    const client = new WebSocketClient();
    await client.#connect(server, options);
    return client;
  }

  messages = new Arrivals();
  #socket;
  #buffer = Buffer.alloc(0);
  #parts = [];
  #closed = deferred();
  #upgraded = deferred();
  #closeFrame;
  #said;
  #traffic;

  /** Settles with {code, reason} when the connection is gone; code 1006 without a close frame. */
  get ended() {
    return this.#closed.promise;
  }

  /** The same, with a deadline. */
  get closed() {
    return within(this.ended, "the end of a WebSocket");
  }

  /** Answers pings of the gateway; off for tests of silence. */
  answersPings = true;

  get socket() {
    return this.#socket;
  }

  async #connect(server, { origin, protocol = subprotocol, localAddress, headers = {}, path = "/v1/gateway", ca = server.ca } = {}) {
    const secure = server.url.startsWith("https:");
    this.#traffic = server.traffic;
    this.#said = server.traffic.connection();
    const key = crypto.randomBytes(16).toString("base64");
    const where = { host: "127.0.0.1", port: server.port, localAddress };
    this.#socket = secure ? tls.connect({ ...where, ca, servername: "localhost" }) : net.connect(where);
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: localhost:${server.port}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${key}`,
      "Sec-WebSocket-Version: 13",
      ...(protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
      ...(origin === undefined ? [] : [`Origin: ${origin}`]),
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    this.#socket.on("data", (chunk) => this.#receive(chunk, key));
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("close", () => this.#end(new Error("the connection ended")));
    this.#socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    await within(this.#upgraded.promise, "the WebSocket handshake");
  }

  #receive(chunk, key) {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    if (this.protocol === undefined && !this.#readHandshake(key)) return;
    while (this.#readFrame());
  }

  #readHandshake(key) {
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [statusLine, ...lines] = this.#buffer.subarray(0, end).toString("latin1").split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const status = Number(statusLine.split(" ")[1]);
    if (status !== 101) {
      const body = this.#buffer.subarray(end + 4);
      if (body.length < Number(headers["content-length"] ?? 0)) return false;
      this.#traffic.answer("GET /v1/gateway", Object.entries(headers), body.toString());
      const error = new Error(`no upgrade: ${status}`);
      this.#upgraded.reject(Object.assign(error, { status, headers, body: body.toString() }));
      this.#socket.destroy();
      return false;
    }
    const accept = crypto.createHash("sha1").update(key + magic).digest("base64");
    assert.equal(headers["sec-websocket-accept"], accept);
    this.#traffic.answer("GET /v1/gateway", Object.entries(headers), "");
    this.headers = headers;
    this.protocol = headers["sec-websocket-protocol"] ?? "";
    this.#buffer = this.#buffer.subarray(end + 4);
    this.#upgraded.resolve();
    return true;
  }

  #readFrame() {
    const buffer = this.#buffer;
    if (buffer.length < 2) return false;
    let length = buffer[1] & 0x7f;
    let at = 2;
    if (length === 126) {
      if (buffer.length < 4) return false;
      length = buffer.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (buffer.length < 10) return false;
      length = Number(buffer.readBigUInt64BE(2));
      at = 10;
    }
    assert.equal(buffer[1] & 0x80, 0, "servers do not mask");
    if (buffer.length < at + length) return false;
    const payload = buffer.subarray(at, at + length);
    const opcode = buffer[0] & 0x0f;
    const fin = (buffer[0] & 0x80) !== 0;
    this.#buffer = buffer.subarray(at + length);
    this.#take(opcode, fin, payload);
    return true;
  }

  #take(opcode, fin, payload) {
    if (opcode === opcodes.close) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#closeFrame = { code, reason: payload.subarray(2).toString() };
      this.#said("close reason", this.#closeFrame.reason);
      this.sendFrame(opcodes.close, payload.subarray(0, 2));
      this.#socket.end();
    } else if (opcode === opcodes.ping) {
      this.#said("ping", payload.toString());
      if (this.answersPings) this.sendFrame(opcodes.pong, payload);
    } else if (opcode !== opcodes.pong) {
      this.#parts.push(payload);
      if (!fin) return;
      const text = Buffer.concat(this.#parts).toString();
      this.#parts = [];
      this.#said("message", text);
      this.onMessage?.(text);
      this.messages.add(text);
    }
  }

  #end(error) {
    const outcome = this.#closeFrame ?? { code: 1006, reason: "" };
    this.#upgraded.reject(error);
    this.messages.end(Object.assign(new Error(`closed with ${outcome.code}`), outcome));
    this.#closed.resolve(outcome);
  }

  send(text) {
    this.sendFrame(opcodes.text, text);
  }

  sendFrame(opcode, payload, options) {
    this.sendRaw(clientFrame(opcode, payload, options));
  }

  sendRaw(bytes) {
    if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(bytes);
  }

  /** Ends without a word, as a pulled cable does. */
  drop() {
    this.#socket.destroy();
  }

  /** Closes politely. */
  close(code = 1000) {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.sendFrame(opcodes.close, payload);
  }
}

/** A client of the gateway: commands with their replies, pushes, and `{}` answered with `{}`. */
export class Gateway {
  static async open(server, options) {
    return new Gateway(await WebSocketClient.open(server, options));
  }

  /**
   * Opens and connects with a ticket, or with `{instance, secret}`. Fails unless it is accepted.
   * @param more  further members of `connect`.
   */
  static async connect(server, credential, { device, more, ...options } = {}) {
    const gateway = await Gateway.open(server, options);
    const reply = await gateway.command("connect", { ...proofOf(credential), ...(device ? { device } : {}), ...more });
    assert.ok(reply.connect, `connect was refused: ${JSON.stringify(reply)}`);
    gateway.instance = reply.connect.instance ?? credential.instance;
    gateway.secret = plant("instance secret", reply.connect.secret ?? credential.secret);
    gateway.hello = reply.connect;
    return gateway;
  }

  objects = new Arrivals();
  #lastId = 0;

  constructor(socket) {
    this.socket = socket;
    socket.onMessage = (text) => {
      for (const line of text.split("\n")) {
        const object = JSON.parse(line);
        if (Object.keys(object).length === 0 && socket.answersPings) socket.send("{}");
        this.objects.add(object);
      }
    };
    socket.ended.then((outcome) => {
      this.objects.end(Object.assign(new Error(`closed with ${outcome.code}`), outcome));
    });
  }

  get closed() {
    return this.socket.closed;
  }

  get credential() {
    return { instance: this.instance, secret: this.secret };
  }

  /** Sends a command and waits for its one reply. */
  command(verb, body = {}) {
    const id = ++this.#lastId;
    const reply = this.objects.first((object) => object.id === id, `the reply to ${verb}`);
    this.socket.send(JSON.stringify({ id, [verb]: body }));
    return reply;
  }

  push(kind, options) {
    return this.objects
      .first((object) => object.push?.[kind] !== undefined, `a push ${kind}`, options)
      .then((object) => object.push[kind]);
  }

  close() {
    this.socket.close();
    return this.closed;
  }
}

export function proofOf(credential) {
  return typeof credential === "string"
    ? { userTicket: plant("ticket", credential) }
    : { instance: credential.instance, secret: credential.secret };
}

/** Presents a credential that is to be refused: {reply, bye, closed}. */
export async function refusal(server, credential, options) {
  const gateway = await Gateway.open(server, options);
  const reply = await gateway.command("connect", proofOf(credential));
  assert.equal(reply.connect, undefined, "the credential was accepted");
  const bye = await gateway.push("bye");
  return { reply, bye, closed: await gateway.closed };
}
