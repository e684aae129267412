// NATS servers of a test's own: free loopback ports, data in a folder that goes with the test.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { temporaryFolder } from "./process.mjs";
import { freePort } from "./server.mjs";
import { Arrivals, eventually, within } from "./waiting.mjs";

const running = new Set();
process.on("exit", () => {
  for (const server of running) server.signal("SIGKILL");
});

export class NatsServer {
  /**
   * @param name     what the server calls itself.
   * @param cluster  {port, routes}: of a cluster, the port for the other servers and their URLs.
   * @param more     lines that are added to its configuration.
   */
  constructor({ name = "nats", port, monitorPort, cluster, more = "" }) {
    this.name = name;
    this.port = port;
    this.monitorPort = monitorPort;
    this.folder = temporaryFolder(name);
    this.configuration = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${port}"`,
      `http: "127.0.0.1:${monitorPort}"`,
      `jetstream { store_dir: "${path.join(this.folder, "js")}", max_mem: 64MB }`,
      ...(cluster
        ? [`cluster { name: test, listen: "127.0.0.1:${cluster.port}", routes: [${cluster.routes.map((url) => `"${url}"`)}] }`]
        : []),
      more,
    ].join("\n");
  }

  get url() {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it, at first or again, and waits until it says that it is ready. */
  async start() {
    const file = path.join(this.folder, "nats.conf");
    fs.writeFileSync(file, this.configuration);
    this.log = new Arrivals();
    const child = spawn("nats-server", ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    this.process = child;
    this.pid = child.pid;
    running.add(this);
    let rest = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      for (const line of lines) this.log.add(line);
    });
    this.exit = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        running.delete(this);
        this.log.end(new Error(`nats-server ended with ${code ?? signal}: ${this.log.all.join("\n")}`));
        resolve({ code, signal });
      });
    });
    await this.log.first((line) => line.includes("Server is ready"), "a NATS server that is ready");
    return this;
  }

  signal(name) {
    if (running.has(this)) process.kill(this.pid, name);
  }

  /** Ends it and waits for its end. */
  async stop(signal = "SIGTERM") {
    if (!running.has(this)) return;
    this.signal("SIGCONT"); // a paused one would not hear SIGTERM
    this.signal(signal);
    await within(this.exit, `the end of a NATS server after ${signal}`);
  }

  kill() {
    return this.stop("SIGKILL");
  }

  async restart() {
    await this.kill();
    return this.start();
  }

  pause() {
    this.signal("SIGSTOP");
  }

  resume() {
    this.signal("SIGCONT");
  }

  /** True if it and, in a cluster, JetStream are ready for work. */
  async healthy() {
    try {
      return (await fetch(`http://127.0.0.1:${this.monitorPort}/healthz`)).ok;
    } catch {
      return false;
    }
  }
}

/** One server, ended when the test file has ended. */
export async function startNats({ more } = {}) {
  const server = new NatsServer({ port: await freePort(), monitorPort: await freePort(), more });
  after(() => server.stop("SIGKILL"));
  return server.start();
}

/** Three servers in one cluster, ready for leases: {servers, url}. `url` names all of them. */
export async function startNatsCluster({ more } = {}) {
  const ports = [];
  while (ports.length < 9) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  const routes = ports.slice(6).map((port) => `nats://127.0.0.1:${port}`);
  const servers = [0, 1, 2].map(
    (n) =>
      new NatsServer({
        name: `nats${n}`,
        port: ports[n],
        monitorPort: ports[3 + n],
        cluster: { port: ports[6 + n], routes },
        more,
      }),
  );
  after(() => Promise.all(servers.map((server) => server.stop("SIGKILL"))));
  await Promise.all(servers.map((server) => server.start()));
  for (const server of servers) {
    await eventually(() => server.healthy(), (good) => good, `JetStream of ${server.name}`);
  }
  return { servers, url: servers.map((server) => server.url).join(",") };
}
