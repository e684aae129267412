// Where a copy of the classic SDK runs in Node: modules of its own, clocks that can be stopped all at once, a
// local storage, and a network that reaches our servers and nothing else. One sandbox is one tab.
//
// What the SDK's Node build lacks (contract section 8) is supplied here, none of it in its file: `wrtc`, a
// `navigator`, an `http.Agent` as PubNub 3.16.5 knows it, and the port of the publish-subscribe host.
import { EventEmitter } from "node:events";
import fs from "node:fs";
import realHttps from "node:https";
import { builtinModules, createRequire } from "node:module";
import path from "node:path";
import vm from "node:vm";
import { plant } from "../../support/secrets.mjs";
import { Arrivals } from "../../support/waiting.mjs";
import { classicPackage, packageFile } from "./package.mjs";

const realRequire = createRequire(import.meta.url);
const secretMembers = { secret: "instance secret", publishKey: "publish key", subscribeKey: "subscribe key", key: "classic key", authorization: "ticket" };

/** Plants every credential of a JSON answer, at any depth. */
function plantSecrets(value, name) {
  if (typeof value === "string" && name in secretMembers) plant(secretMembers[name], value);
  else if (value && typeof value === "object") for (const [key, inner] of Object.entries(value)) plantSecrets(inner, key);
}

export class Sandbox {
  /**
   * @param server   where it may connect to, also at its `classicHosts`; more by `allow`.
   * @param storage      what it finds as local storage: tabs of one browser share it.
   * @param clockOffset  how wrong its clock is, in milliseconds.
   */
  constructor(server, { storage, version, clockOffset = 0 } = {}) {
    this.clockOffset = clockOffset;
    this.ca = server.ca;
    this.traffic = server.traffic;
    this.reachable = new Set();
    this.allow(server);
    for (const host of server.classicHosts ?? []) this.reachable.add(host);
    this.agent = new realHttps.Agent({ keepAlive: true, ca: this.ca, maxSockets: Infinity });
    this.storage = storage ?? {};
    const { file, versionFile } = classicPackage(version);
    this.replacements = {
      http: this.#http(),
      https: this.#https(),
      wrtc: {},
      localStorage: this.storage,
      "../VERSION": this.load(versionFile),
    };
    this.SinchClient = this.load(file);
  }

  /** Everything that was asked of the network: {method, path, host, status, body, done}; `status` and `body` when it is answered. */
  requests = new Arrivals();
  /** Requests as their answers end. */
  answers = new Arrivals();
  /** Hosts it asked for and did not get. */
  outside = [];
  /** What it wrote on the console. */
  console = [];
  /** Rejections that nobody in the SDK handles; Q tells the process of them. */
  unhandled = [];
  #timers = new Set();
  #open = new Set();
  #modules = new Map();
  #ended = false;
  #broken = false;

  allow(server) {
    this.reachable.add(new URL(server.url).host);
  }

  /** Loads a CommonJS file, once. */
  load(file) {
    if (this.#modules.has(file)) return this.#modules.get(file).exports;
    const module = { exports: {} };
    this.#modules.set(file, module);
    const text = fs.readFileSync(file, "utf8");
    if (file.endsWith(".json")) return (module.exports = JSON.parse(text));
    const given = { module, exports: module.exports, require: this.#requireFrom(file), ...this.#globals() };
    vm.compileFunction(text, Object.keys(given), { filename: file }).apply(module.exports, Object.values(given));
    return module.exports;
  }

  #requireFrom(file) {
    return (name) => {
      if (this.replacements && name in this.replacements) return this.replacements[name];
      if (builtinModules.includes(name)) return realRequire(name);
      return this.load(name.startsWith(".") ? createRequire(file).resolve(name) : packageFile(name));
    };
  }

  #globals() {
    const navigator = { userAgent: "Node", platform: process.platform, vendor: "", mediaDevices: {} };
    const window = { navigator };
    // Otherwise Q's own reports would end the test process.
    const ownProcess = Object.create(process, { emit: { value: (name, what) => name === "unhandledRejection" && this.unhandled.push(what) } });
    const { clockOffset } = this;
    class Clock extends Date {
      constructor(...given) {
        super(...(given.length > 0 ? given : [Date.now() + clockOffset]));
      }
      static now() {
        return Date.now() + clockOffset;
      }
    }
    const say = (...words) => this.console.push(words.map(String).join(" "));
    return {
      navigator,
      window,
      Date: Clock,
      process: ownProcess,
      global: { localStorage: undefined },
      console: { log: say, info: say, warn: say, error: say },
      setTimeout: (work, ms, ...args) => this.#timer(setTimeout, work, ms, args, true),
      setInterval: (work, ms, ...args) => this.#timer(setInterval, work, ms, args, false),
      clearTimeout: (timer) => this.#clear(timer),
      clearInterval: (timer) => this.#clear(timer),
    };
  }

  #timer(start, work, ms, args, once) {
    if (this.#ended) return undefined;
    const timer = start(() => {
      if (once) this.#timers.delete(timer);
      work(...args);
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #clear(timer) {
    this.#timers.delete(timer);
    clearTimeout(timer);
  }

  /** Plain http: nothing of ours speaks it, so nobody answers. */
  #http() {
    class Agent extends EventEmitter {}
    Agent.super_ = EventEmitter; // what Agent functions had
    return { Agent, globalAgent: {}, request: (options) => this.#refused(`http://${options.hostname ?? options.host}`) };
  }

  #https() {
    class Agent {
      destroy() {}
    }
    return { Agent, globalAgent: {}, request: (options, taken) => this.#request(options, taken) };
  }

  #refused(where) {
    this.outside.push(where);
    const request = Object.assign(new EventEmitter(), { end() {}, write() {}, abort() {}, setTimeout() {} });
    setImmediate(() => {
      if (!this.#ended) request.emit("error", Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    });
    return request;
  }

  #request({ agent, ...options }, taken) {
    // PubNub hands the port over as part of the name, and asks for 443.
    const [hostname, named] = (options.hostname ?? options.host).split(":");
    const port = Number(named ?? options.port ?? 443);
    if (this.#ended || this.#broken || !this.reachable.has(`${hostname}:${port}`)) return this.#refused(`https://${hostname}:${port}`);
    const note = { method: options.method, path: options.path, host: `${hostname}:${port}`, headers: options.headers, at: performance.now() };
    const request = realHttps.request({ ...options, host: undefined, hostname, port, agent: this.agent, servername: hostname, ca: this.ca }, (answer) => {
      taken(answer);
      note.status = answer.statusCode;
      note.answerHeaders = answer.headers;
      let body = "";
      answer.on("data", (chunk) => {
        body += chunk;
      });
      answer.on("end", () => {
        note.body = body;
        note.ms = performance.now() - note.at;
        this.#open.delete(request);
        try {
          plantSecrets(JSON.parse(body), "");
        } catch {
          // not JSON: somebody will notice
        }
        this.answers.add(note);
      });
    });
    request.on("error", (error) => {
      note.failed = error.code;
      this.#open.delete(request);
      this.answers.add(note);
    });
    request.on("close", () => this.#open.delete(request));
    this.#open.add(request);
    this.requests.add(note);
    return request;
  }

  /** Every connection breaks, and no new one is made until mendNetwork(). */
  breakNetwork() {
    this.#broken = true;
    for (const request of this.#open) request.destroy(new Error("the network is gone"));
  }

  mendNetwork() {
    this.#broken = false;
  }

  /** The tab is gone, from one moment to the next: no clock runs, no request goes on, none is begun. */
  close() {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const request of this.#open) request.destroy();
    this.#open.clear();
    this.agent.destroy();
  }
}
