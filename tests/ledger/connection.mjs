// A lean client of `countersign.v1.json` for many messages: it keeps nothing it has passed on.
// (tests/support/websocket.mjs keeps everything, which is right for tests and wrong for a million.)
import crypto from "node:crypto";
import net from "node:net";
import { clientFrame, opcodes, subprotocol } from "../support/websocket.mjs";

const handshakeMs = 5_000;
const replyMs = 4_000;

export class Connection {
  /**
   * @param where    {host, port}
   * @param onPush   (kind, body) for every push
   * @param onClose  (code) once, also when nobody ever answered
   */
  constructor(where, { onPush, onClose }) {
    this.onPush = onPush;
    this.onClose = onClose;
    this.waiting = new Map();
    this.lastId = 0;
    this.buffer = Buffer.alloc(0);
    this.parts = [];
    this.open = false;
    this.code = 1006;
    this.ready = new Promise((resolve, reject) => {
      this.opened = resolve;
      this.failed = reject;
    });
    this.ready.catch(() => {});
    this.timer = setTimeout(() => this.drop(), handshakeMs);
    this.socket = net.connect({ ...where, noDelay: true });
    this.socket.on("connect", () => {
      const key = crypto.randomBytes(16).toString("base64");
      this.socket.write(
        `GET /v1/gateway HTTP/1.1\r\nHost: ${where.host}:${where.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`,
      );
    });
    this.socket.on("data", (chunk) => this.receive(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => this.end());
  }

  receive(chunk) {
    this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
    if (!this.open) {
      const end = this.buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!this.buffer.subarray(0, 12).equals(Buffer.from("HTTP/1.1 101"))) return this.drop();
      this.buffer = this.buffer.subarray(end + 4);
      this.open = true;
      clearTimeout(this.timer);
      this.opened();
    }
    while (this.readFrame());
  }

  readFrame() {
    const { buffer } = this;
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
    if (buffer.length < at + length) return false;
    const payload = buffer.subarray(at, at + length);
    const opcode = buffer[0] & 0x0f;
    this.buffer = buffer.subarray(at + length);
    if (opcode === opcodes.close) {
      if (payload.length >= 2) this.code = payload.readUInt16BE(0);
      this.socket.end();
      return false;
    }
    if (opcode === opcodes.ping) this.socket.write(clientFrame(opcodes.pong, payload));
    if (opcode !== opcodes.text && opcode !== opcodes.continuation) return true;
    this.parts.push(payload);
    if ((buffer[0] & 0x80) === 0) return true;
    const text = Buffer.concat(this.parts).toString();
    this.parts = [];
    for (const line of text.split("\n")) this.take(JSON.parse(line));
    return true;
  }

  take(object) {
    if (object.push !== undefined) {
      const [[kind, body]] = Object.entries(object.push);
      this.onPush(kind, body);
    } else if (object.id !== undefined) {
      const waiter = this.waiting.get(object.id);
      this.waiting.delete(object.id);
      waiter?.(object);
    } else {
      this.socket.write(clientFrame(opcodes.text, "{}"));
    }
  }

  /** Sends a command; resolves with its reply, or null if none came in time or the link is gone. */
  command(verb, body, ms = replyMs) {
    if (this.ended) return Promise.resolve(null);
    const id = ++this.lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        resolve(null);
        this.drop(); // a gateway that does not answer is as good as gone
      }, ms);
      this.waiting.set(id, (object) => {
        clearTimeout(timer);
        resolve(object);
      });
      this.socket.write(clientFrame(opcodes.text, JSON.stringify({ id, [verb]: body })));
    });
  }

  drop() {
    this.socket.destroy();
    this.end();
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.timer);
    this.failed(new Error("no connection"));
    for (const waiter of this.waiting.values()) waiter(null);
    this.waiting.clear();
    this.onClose(this.code);
  }
}
