// Clients of other people's servers, for rows that put our figures beside theirs: a WebSocket each,
// held open, and now and then a message from one to another.
//
//   node bench/others/clients.mjs mosquitto|nats|socketio PORT CONNECTIONS RATE
//
// Prints `{"connections":N}` when all are in, then goes on until standard input ends, and prints how
// many messages arrived. The framing is the test suite's own, so that no client library is measured.
import net from "node:net";
import { clientFrame, opcodes } from "../../tests/support/websocket.mjs";

const [kind, portText, countText, rateText] = process.argv.slice(2);
const port = Number(portText);
const count = Number(countText);
const rate = Number(rateText);
let arrived = 0;
let ready = 0;

const text = (value) => clientFrame(opcodes.text, value);
const binary = (value) => clientFrame(opcodes.binary, value);
const withLength = (value) => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);

/** An MQTT 3.1.1 packet: type and flags, then the body's length in sevens of bits. */
function packet(head, body) {
  const length = [];
  for (let rest = body.length; ; rest >>= 7) {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([head, ...length]), body]);
}

const payload = "x".repeat(100);

/** For each server: the handshake, what to say then, when a client is in, and how to send and to answer. */
const protocols = {
  mosquitto: {
    path: "/",
    protocol: "mqtt",
    hello: (i) =>
      binary(packet(0x10, Buffer.concat([withLength("MQTT"), Buffer.from([4, 2, 0, 0]), withLength(`client${i}`)]))),
    take(client, data) {
      const type = data[0] >> 4;
      if (type === 2) {
        client.write(binary(packet(0x82, Buffer.concat([Buffer.from([0, 1]), withLength(`inbox/${client.number}`), Buffer.from([1])]))));
      }
      if (type === 9) client.in();
      if (type === 3) {
        arrived++;
        const length = data[2] < 128 ? 2 : 3; // a body of 100 to 16,383 bytes has two bytes of length
        const at = length === 2 ? 2 : 3;
        const topic = data.readUInt16BE(at);
        const id = data.subarray(at + 2 + topic, at + 4 + topic);
        client.write(binary(packet(0x40, id)));
      }
    },
    // Quality of service 1: at least once, acknowledged.
    send: (client, to, n) =>
      client.write(binary(packet(0x32, Buffer.concat([withLength(`inbox/${to}`), Buffer.from([(n >> 8) & 255, (n & 255) | 1]), Buffer.from(payload)])))),
  },
  nats: {
    path: "/",
    hello: () => undefined,
    take(client, data) {
      const said = data.toString();
      if (said.startsWith("INFO")) {
        client.write(binary(`CONNECT {"verbose":false,"pedantic":false}\r\nSUB inbox.${client.number} 1\r\nPING\r\n`));
      }
      if (said.includes("PONG") && !client.there) client.in();
      if (said.includes("PING")) client.write(binary("PONG\r\n"));
      if (said.includes("MSG ")) arrived++;
    },
    send: (client, to) => client.write(binary(`PUB inbox.${to} ${payload.length}\r\n${payload}\r\n`)),
  },
  socketio: {
    path: "/socket.io/?EIO=4&transport=websocket",
    hello: () => undefined,
    take(client, data) {
      const said = data.toString();
      if (said.startsWith("0")) client.write(text("40"));
      if (said.startsWith("40")) client.in();
      if (said === "2") client.write(text("3"));
      if (said.startsWith("42")) arrived++;
      const acknowledgement = /^42(\d+)/.exec(said);
      if (acknowledgement) client.write(text(`43${acknowledgement[1]}[]`));
    },
    send: (client, to, n) => client.write(text(`42${n}["message",${to},"${payload}"]`)),
  },
};

const { path, protocol, hello, take, send } = protocols[kind];

class Client {
  buffer = Buffer.alloc(0);
  there = false;

  constructor(number) {
    this.number = number;
    this.socket = net.connect({ port, host: "127.0.0.1", localAddress: `127.0.${1 + Math.floor(number / 500)}.1`, noDelay: true });
    this.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ""}\r\n`,
    );
    this.socket.on("data", (chunk) => this.receive(chunk));
    this.socket.on("error", (error) => {
      console.error(`${kind}: ${error.message}`);
      process.exit(1);
    });
  }

  receive(chunk) {
    this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
    if (!this.open) {
      const end = this.buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.open = true;
      this.buffer = this.buffer.subarray(end + 4);
      const first = hello(this.number);
      if (first) this.write(first);
    }
    while (this.buffer.length >= 2) {
      const short = this.buffer[1] & 127;
      if (short === 126 && this.buffer.length < 4) return;
      const head = short === 126 ? 4 : 2;
      const length = short === 126 ? this.buffer.readUInt16BE(2) : short;
      if (this.buffer.length < head + length) return;
      take(this, this.buffer.subarray(head, head + length));
      this.buffer = this.buffer.subarray(head + length);
    }
  }

  in() {
    this.there = true;
    ready++;
  }

  write(bytes) {
    this.socket.write(bytes);
  }
}

const clients = [];
while (ready < count) {
  while (clients.length < count && clients.length < ready + 64) clients.push(new Client(clients.length));
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(JSON.stringify({ connections: ready }));

const began = performance.now();
let sent = 0;
const timer = setInterval(() => {
  for (const due = ((performance.now() - began) / 1000) * rate; sent < due; sent++) {
    send(clients[(sent * 7919) % count], (sent * 104729 + 1) % count, sent);
  }
}, 5);
process.stdin.on("end", () => {
  clearInterval(timer);
  console.log(JSON.stringify({ sent, arrived, seconds: (performance.now() - began) / 1000 }));
  process.exit(0);
});
process.stdin.resume();
