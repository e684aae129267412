// A server of its own for a test: port 0, a fresh data directory, everything it writes kept.
import { spawn } from "node:child_process";
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after } from "node:test";
import { HttpClient } from "./http.mjs";
import { cleanEnvironment, countersign, program, temporaryFolder } from "./process.mjs";
import { findPlanted, plant, searchFiles } from "./secrets.mjs";
import { Traffic } from "./traffic.mjs";
import { Arrivals, within } from "./waiting.mjs";

/** Settings that make tests quick: no floor under answers, no limit on sign-ups from one address. */
const quick = {
  "accounts.answer_floor_ms": 0,
  "accounts.answer_jitter_ms": 0,
  "accounts.sign_ups_per_hour": 100000,
  "metrics.listen": "127.0.0.1:0",
  "log.level": "debug",
  "server.drain_seconds": 3,
};

export function settingArguments(settings) {
  return Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
}

/** A port nobody listens on at this moment. */
export async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export class Server {
  /**
   * @param settings  overrides of the quick test settings; undefined leaves the program's default.
   * @param dataDir   default: a new one.
   * @param listen    default: a free port of localhost.
   * @param ca        the authority of its certificate, which its clients trust.
   */
  constructor({ settings = {}, dataDir, listen = "localhost:0", env = {}, wrap = [], arguments: more = [], ca } = {}) {
    this.settings = { ...quick, ...settings };
    for (const [key, value] of Object.entries(this.settings)) if (value === undefined) delete this.settings[key];
    this.dataDir = dataDir ?? path.join(temporaryFolder("data"), "var");
    this.listen = listen;
    this.env = env;
    this.wrap = wrap;
    this.more = more;
    this.ca = ca;
    this.log = new Arrivals();
    this.output = [];
    this.traffic = new Traffic();
    this.clients = [];
  }

  /** Starts and waits for the line `ready URL`. Rejects with what the program said if it ends instead. */
  async start() {
    const from = this.log.all.length;
    this.startedAt = from; // in the log
    const [command, ...args] = [
      ...this.wrap,
      program,
      "serve",
      "--data-dir",
      this.dataDir,
      "--listen",
      this.listen,
      ...settingArguments(this.settings),
      ...this.more,
    ];
    const child = spawn(command, args, { env: cleanEnvironment(this.env), stdio: ["ignore", "pipe", "pipe"] });
    this.process = child;
    this.exit = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.ended = { code, signal };
        resolve(this.ended);
      });
    });
    this.ended = undefined;
    const lines = new Arrivals();
    readLines(child.stdout, (line) => {
      this.output.push(line);
      lines.add(line);
    });
    readLines(child.stderr, (line) => {
      this.output.push(line);
      this.log.add(parseLine(line));
    });
    this.exit.then(({ code, signal }) => {
      const said = this.log.all.slice(from).map((line) => line.text).join("\n");
      lines.end(Object.assign(new Error(`the server ended with ${code ?? signal}: ${said}`), { code, stderr: said }));
    });
    const ready = await lines.first((line) => line.startsWith("ready "), "the ready line");
    this.url = ready.slice("ready ".length);
    this.port = Number(new URL(this.url).port);
    this.pid = child.pid;
    if (fs.existsSync(path.join(this.dataDir, "app.key"))) {
      this.applicationKey = fs.readFileSync(path.join(this.dataDir, "app.key"), "utf8").trim();
      this.applicationSecret = plant(
        "application secret",
        fs.readFileSync(path.join(this.dataDir, "app.secret"), "utf8").trim(),
      );
    }
    const masterKey = path.join(this.dataDir, "master.key");
    if (fs.existsSync(masterKey)) plant("master key", fs.readFileSync(masterKey, "utf8").trim());
    return this;
  }

  get origin() {
    return new URL(this.url).origin;
  }

  /** SIGTERM; resolves with how it ended. */
  async stop(signal = "SIGTERM") {
    if (!this.ended) this.process.kill(signal);
    return within(this.exit, `the end of the server after ${signal}`);
  }

  async kill() {
    return this.stop("SIGKILL");
  }

  /** Starts again with the same data, on the same port. */
  async restart() {
    this.listen = `localhost:${this.port}`;
    return this.start();
  }

  /** Stops and searches everything it wrote and said for planted values. */
  async close() {
    for (const client of this.clients) client.close();
    if (this.process && !this.ended) {
      const last = this.metrics();
      await last.catch(() => {}); // the server ends in any case
      const { code } = await this.stop();
      assert.equal(code, 0, `the server ended with ${code}`);
      await last;
    }
    this.assertNothingLeaked();
  }

  /** What /metrics says; undefined if they are not served, or the log is too quiet to tell where. */
  async metrics() {
    if (this.settings["metrics.listen"] === "" || !["debug", "info"].includes(this.settings["log.level"])) return undefined;
    const { listen } = await this.logged({ event: /^metrics_(not_)?served$/ }, { from: this.startedAt });
    if (this.log.all.slice(this.startedAt).some((line) => line.event === "metrics_not_served")) return undefined;
    const answer = await new Promise((resolve, reject) => http.get(`http://${listen}/metrics`, resolve).on("error", reject));
    assert.equal(answer.statusCode, 200);
    let text = "";
    for await (const chunk of answer.setEncoding("utf8")) text += chunk;
    this.traffic.answer("GET /metrics", Object.entries(answer.headers), text);
    return text;
  }

  /** The value of a metric: the sum of its series, or of those with this label. 0 without any. */
  async metric(name, label = "") {
    const lines = (await this.metrics()).split("\n").filter((line) => /^\w+/.exec(line)?.[0] === name && line.includes(label));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
  }

  assertNothingLeaked() {
    const found = [
      ...findPlanted(this.output.join("\n"), "the log"),
      ...this.traffic.find(),
      ...(fs.existsSync(this.dataDir) ? searchFiles(this.dataDir) : []),
    ];
    assert.deepEqual([...new Set(found)], []);
  }

  /** The first log line, of those from `from` on, with these members. */
  logged(members, options = {}) {
    const wanted = (line) => Object.entries(members).every(([name, value]) => matches(line[name], value));
    return this.log.first(wanted, `a log line ${JSON.stringify(members)}`, options);
  }

  /** An HTTP client with a cookie jar of its own. */
  client(options = {}) {
    const client = new HttpClient(this, options);
    this.clients.push(client);
    return client;
  }

  /** Runs a command on the server's data, as another process. */
  command(args, options) {
    return countersign([...args, "--data-dir", this.dataDir], options);
  }

  /** VmRSS in kB. */
  memory() {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${this.pid}/status`, "utf8"))[1]);
  }

  /** Processor time it has used, in milliseconds. */
  processorMs() {
    const fields = fs.readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ")[1].split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]); // utime and stime, in hundredths of a second
    return ticks * 10;
  }
}

function matches(actual, wanted) {
  return wanted instanceof RegExp ? wanted.test(String(actual)) : actual === wanted;
}

function parseLine(text) {
  try {
    return { ...JSON.parse(text), text };
  } catch {
    return { text };
  }
}

function readLines(stream, take) {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    lines.forEach(take);
  });
  stream.on("end", () => {
    if (rest !== "") take(rest);
  });
}

const running = new Set();
process.on("exit", () => {
  for (const server of running) if (server.process && !server.ended) server.process.kill("SIGKILL");
});

/** Starts a server that is stopped and searched when the test file has ended. */
export async function startServer(options) {
  const server = new Server(options);
  running.add(server);
  after(() => server.close());
  await server.start();
  return server;
}

/** Tries to start a server that is expected to refuse: {code, stderr}. */
export async function refusedStart(options) {
  const server = new Server(options);
  running.add(server);
  try {
    await server.start();
  } catch (error) {
    if (error.code === undefined) throw error;
    return { code: error.code, stderr: error.stderr };
  }
  await server.stop();
  throw new Error("the server started, and should have refused");
}
