// A client like a browser: a cookie jar, forms, and the headers browsers send; all of it can be changed.
import http from "node:http";
import https from "node:https";
import { plant } from "./secrets.mjs";
import { within } from "./waiting.mjs";

export class HttpClient {
  /** @param localAddress  where requests come from, for instance 127.0.0.7. */
  constructor(server, { localAddress, ca = server.ca, host = "127.0.0.1" } = {}) {
    this.server = server;
    this.secure = server.url.startsWith("https:");
    this.host = host;
    this.localAddress = localAddress;
    const Agent = this.secure ? https.Agent : http.Agent;
    this.agent = new Agent({ keepAlive: true, localAddress, ca });
    this.cookies = new Map();
  }

  close() {
    this.agent.destroy();
  }

  /** A client with the same cookies: what somebody has who copied them. */
  copy(options = {}) {
    const copied = this.server.client({ localAddress: this.localAddress, ...options });
    copied.cookies = new Map(this.cookies);
    return copied;
  }

  cookie(part) {
    for (const [name, value] of this.cookies) if (name.endsWith(`cs_${part}`)) return value;
    return undefined;
  }

  forget(part) {
    for (const name of [...this.cookies.keys()]) if (name.endsWith(`cs_${part}`)) this.cookies.delete(name);
  }

  /**
   * Sends one request.
   * @param form, json  the body; else `body` as it is.
   * @param site  Sec-Fetch-Site; null: not sent. Unsafe methods say same-origin by default.
   * @return {status, headers, rawHeaders, setCookies, body, json, ms}
   */
  async request(method, path, { headers = {}, form, json, body, site, origin, cookies = true } = {}) {
    const unsafe = method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
    const sent = { ...headers };
    let content = body;
    if (form !== undefined) {
      content = new URLSearchParams(form).toString();
      sent["content-type"] ??= "application/x-www-form-urlencoded";
    } else if (json !== undefined) {
      content = JSON.stringify(json);
      sent["content-type"] ??= "application/json";
    }
    const fetchSite = site === undefined && unsafe ? "same-origin" : site;
    if (fetchSite) sent["sec-fetch-site"] = fetchSite;
    if (origin) sent.origin = origin;
    if (cookies && this.cookies.size > 0) {
      sent.cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    }
    if (content !== undefined) sent["content-length"] = Buffer.byteLength(content);
    else if (unsafe) sent["content-length"] = 0;
    const response = await within(this.#exchange(method, path, sent, content), `an answer to ${method} ${path}`);
    this.#keepCookies(response);
    const { rawHeaders } = response;
    const pairs = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, rawHeaders[index + 1]]] : []));
    this.server.traffic.answer(`${method} ${path}`, pairs, response.body);
    return response;
  }

  get(path, options) {
    return this.request("GET", path, options);
  }

  post(path, options) {
    return this.request("POST", path, options);
  }

  #exchange(method, path, headers, content) {
    const { promise, resolve, reject } = deferred();
    const started = process.hrtime.bigint();
    const request = (this.secure ? https : http).request(
      { host: this.host, port: this.server.port, method, path, headers, agent: this.agent, servername: "localhost" },
      (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const body = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode,
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            setCookies: response.headers["set-cookie"] ?? [],
            body,
            get json() {
              return JSON.parse(body);
            },
            ms: Number(process.hrtime.bigint() - started) / 1e6,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(content);
    return promise;
  }

  #keepCookies(response) {
    for (const line of response.setCookies) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/max-age=0(;|$)/i.test(line) || value === "") {
        this.cookies.delete(name);
      } else {
        this.cookies.set(name, value);
      }
    }
  }

  // What people do.

  /** Signs up by the form. */
  signUp(username, password, fields = {}) {
    plant("password", password);
    return this.post("/users/sign_up", { form: { username, password, ...fields } });
  }

  signIn(username, password, options = {}) {
    plant("password", password);
    return this.post("/users/sign_in", { form: { username, password }, ...options });
  }

  signOut() {
    return this.post("/users/sign_out", { form: { _method: "delete" } });
  }

  /** POST /v1/tickets; the ticket's text. */
  async ticket() {
    const answer = await this.post("/v1/tickets", { json: {} });
    if (answer.status !== 200) throw new Error(`no ticket: ${answer.status} ${answer.body}`);
    return plant("ticket", answer.json.userTicket);
  }
}

export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
