// The team's own backend: signs requests to the server API, and receives callbacks. An independent
// implementation of signed requests, on nothing but Node's own crypto.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import http from "node:http";
import { after } from "node:test";
import { Arrivals } from "./waiting.mjs";

/** base64(HMAC-SHA256) over the string to sign. */
export function signature(secret, { method, target, contentType = "", timestamp, body = "" }) {
  const md5 = body === "" ? "" : crypto.createHash("md5").update(body).digest("base64");
  const text = [method, md5, contentType, `x-timestamp:${timestamp}`, target].join("\n");
  return crypto.createHmac("sha256", Buffer.from(secret, "base64")).update(text).digest("base64");
}

export class Backend {
  constructor(server, { key = server.applicationKey, secret = server.applicationSecret } = {}) {
    Object.assign(this, { server, key, secret, http: server.client() });
  }

  /** The headers of a signed request; `signed` overrides what the signature covers. */
  headers(method, target, { body = "", timestamp = new Date().toISOString(), signed = {} } = {}) {
    const contentType = body === "" ? "" : "application/json";
    const mac = signature(this.secret, { method, target, contentType, timestamp, body, ...signed });
    return {
      authorization: `application ${this.key}:${mac}`,
      "x-timestamp": timestamp,
      ...(contentType ? { "content-type": contentType } : {}),
    };
  }

  async request(method, target, { json, headers = {}, ...options } = {}) {
    const body = json === undefined ? "" : JSON.stringify(json);
    const sent = { ...this.headers(method, target, { body, ...options }), ...headers };
    return this.http.request(method, target, { headers: sent, body: body || undefined, site: null });
  }

  get(target, options) {
    return this.request("GET", target, options);
  }

  post(target, json, options) {
    return this.request("POST", target, { json, ...options });
  }

  /** Sends, and fails unless it was accepted. */
  async sent(message) {
    const answer = await this.post("/v1/app/messages", message);
    assert.equal(answer.status, 200, answer.body);
    return answer.json;
  }
}

export const pathOf = ({ type, endpoint }) => `/v1/app/users/${type}/${encodeURIComponent(endpoint)}`;

/** A receiver of callbacks, on a loopback port of its own. */
export class Receiver {
  /** Every request: {method, target, headers, body, json}. */
  requests = new Arrivals();
  /** The events that were answered with 2xx. */
  taken = new Arrivals();
  /** What to answer: a status, or a function of request and response. */
  answer = 204;

  static async start(port = 0) {
    const self = new Receiver();
    await self.listen(port);
    after(() => self.stop());
    return self;
  }

  async listen(port = this.port) {
    this.server = http.createServer((request, response) => this.#take(request, response));
    this.server.listen(port, "127.0.0.1");
    await new Promise((resolve) => this.server.once("listening", resolve));
    this.port = this.server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/hook?from=countersign`;
  }

  get settings() {
    return { "callbacks.url": this.url, "callbacks.allowed_private_hosts": "127.0.0.1" };
  }

  async #take(request, response) {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const { method, url: target, headers } = request;
    const taken = { method, target, headers, body, json: JSON.parse(body), at: performance.now() };
    this.requests.add(taken);
    const answer = typeof this.answer === "function" ? this.answer(taken, response) : this.answer;
    if (answer === undefined) return; // answered, or left hanging, by the function
    response.writeHead(answer).end();
    if (answer >= 200 && answer < 300) this.taken.add(taken.json);
  }

  /** The first event taken with these members. */
  event(name, members = {}) {
    const fits = (json) =>
      json.event === name && Object.entries(members).every(([key, value]) => json.message?.[key] === value || json[key]?.id === value);
    return this.taken.first(fits, `the callback ${name} ${JSON.stringify(members)}`);
  }

  async stop() {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Checks that a callback was signed as the application. */
export function assertSigned(request, { key, secret }) {
  const { method, target, body, headers } = request;
  const [scheme, credential] = headers.authorization.split(" ");
  assert.equal(scheme, "application");
  const mac = signature(secret, { method, target, body, contentType: headers["content-type"], timestamp: headers["x-timestamp"] });
  assert.equal(credential, `${key}:${mac}`);
  assert.ok(Math.abs(Date.parse(headers["x-timestamp"]) - Date.now()) < 60_000);
}
