// A connection that says exactly the bytes it is told to, and reads HTTP answers.
import net from "node:net";
import { Arrivals, within } from "./waiting.mjs";

export class RawConnection {
  static async open(server, { localAddress } = {}) {
    const socket = net.connect({ host: "127.0.0.1", port: server.port, localAddress });
    await within(
      new Promise((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      }),
      "a connection",
    );
    return new RawConnection(socket, server);
  }

  #buffer = Buffer.alloc(0);
  #answers = new Arrivals();
  #taken = 0;

  constructor(socket, server) {
    this.socket = socket;
    this.server = server;
    this.ended = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {}); // a reset is one way for the server to end it
    socket.on("data", (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      while (this.#read());
    });
    socket.once("close", () => this.#answers.end(new Error("the connection ended without an answer")));
  }

  get closed() {
    return within(this.ended, "the server to end the connection");
  }

  write(bytes) {
    if (this.socket.writable) this.socket.write(bytes, typeof bytes === "string" ? "latin1" : undefined);
  }

  end() {
    this.socket.end();
  }

  /** The next answer: {status, headers, body}. */
  async answer() {
    const index = this.#taken++;
    return this.#answers.first((answer) => answer.index === index, "an answer");
  }

  #read() {
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [statusLine, ...lines] = this.#buffer.subarray(0, end).toString("latin1").split("\r\n");
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const length = Number(headers["content-length"] ?? 0);
    if (this.#buffer.length < end + 4 + length) return false;
    const body = this.#buffer.subarray(end + 4, end + 4 + length).toString();
    this.#buffer = this.#buffer.subarray(end + 4 + length);
    const status = Number(statusLine.split(" ")[1]);
    this.server.traffic.answer("a raw request", Object.entries(headers), body);
    this.#answers.add({ index: this.#answers.all.length, status, headers, body });
    return true;
  }
}
