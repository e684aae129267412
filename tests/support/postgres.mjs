// PostgreSQL servers of a test's own: a free loopback port, data in a folder that goes with the test.
//
// The kernel stops a server whose test dies. PostgreSQL refuses root: tests as root run it as `postgres`.
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { execute, temporaryFolder } from "./process.mjs";
import { plant } from "./secrets.mjs";
import { freePort } from "./server.mjs";
import { Arrivals, within } from "./waiting.mjs";

const installed = "/usr/lib/postgresql";
const role = "countersign";

/** The folder of the newest PostgreSQL's programs. */
function programs() {
  const versions = fs.readdirSync(installed).filter((version) => fs.existsSync(path.join(installed, version, "bin/postgres")));
  if (versions.length === 0) throw new Error(`no PostgreSQL in ${installed}`);
  return path.join(installed, versions.sort((a, b) => b - a)[0], "bin");
}

/** The words before a command that make the kernel end it with us, and another user than root run it. */
function wrapped(command) {
  const user = process.getuid() === 0 ? ["--reuid", "postgres", "--regid", "postgres", "--init-groups"] : [];
  return ["setpriv", "--pdeathsig", "QUIT", ...user, "--", ...command];
}

export class PostgresServer {
  /** @param settings  of postgresql.conf, over those that make tests quick. */
  constructor({ settings = {} } = {}) {
    this.settings = {
      listen_addresses: "127.0.0.1",
      shared_buffers: "32MB",
      max_connections: 200,
      autovacuum: "off",
      wal_level: "minimal",
      max_wal_senders: 0,
      ...settings,
    };
    this.password = plant("database password", `db ${crypto.randomBytes(15).toString("base64url")}`);
    this.databases = 0;
  }

  /** Makes the data directory and the role, and starts. */
  async make() {
    this.folder = temporaryFolder("postgres");
    if (process.getuid() === 0) {
      const owner = await execute("chown", ["postgres:postgres", this.folder]);
      if (owner.code !== 0) throw new Error(`tests as root want the user postgres: ${owner.stderr}`);
    }
    const [command, ...args] = wrapped([
      path.join(programs(), "initdb"),
      ...["--pgdata", path.join(this.folder, "data"), "--username", "postgres", "--encoding", "UTF8"],
      ...["--locale", "C.UTF-8", "--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-sync"],
    ]);
    const made = await execute(command, args);
    if (made.code !== 0) throw new Error(`initdb: ${made.stderr}`);
    this.port = await freePort();
    await this.start();
    await this.sql("postgres", `CREATE ROLE ${role} LOGIN PASSWORD '${this.password}'`);
    return this;
  }

  /** Starts it, at first or again on the same port, and waits until it says that it is ready. */
  async start() {
    const settings = Object.entries(this.settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const [command, ...args] = wrapped([
      path.join(programs(), "postgres"),
      ...["-D", path.join(this.folder, "data"), "-k", this.folder, "-p", String(this.port), ...settings],
    ]);
    const lines = new Arrivals();
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.process = child;
    let rest = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (chunk) => {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop();
      for (const line of parts) lines.add(line);
    });
    // Every process of the server holds the pipe: its end is theirs.
    this.exit = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
    this.exit.then(({ code, signal }) => {
      lines.end(new Error(`PostgreSQL ended with ${code ?? signal}: ${lines.all.join("\n")}`));
    });
    await lines.first((line) => line.includes("ready to accept connections"), "PostgreSQL", { ms: 60_000 });
  }

  /** SIGINT ends it in order, SIGKILL as a crash does; its sessions end too. */
  async stop(signal = "SIGINT") {
    this.process.kill(signal);
    await within(this.exit, `the end of PostgreSQL after ${signal}`, 60_000);
  }

  /** All its processes, which SIGSTOP makes silent without closing anything. */
  signalAll(signal) {
    const { pid } = this.process;
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    for (const one of [pid, ...children.map(Number)]) process.kill(one, signal);
  }

  /** Runs SQL as the superuser; what it printed, a line for each row. */
  async sql(database, text) {
    const done = await execute("psql", [
      ...["-h", this.folder, "-p", String(this.port), "-U", "postgres", "-d", database],
      ...["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", text],
    ]);
    if (done.code !== 0) throw new Error(`${text}: ${done.stderr}`);
    return done.stdout.trim();
  }

  /** A new database of the role: {name, url}, the URL with the password. */
  async database() {
    const name = `test_${++this.databases}`;
    await this.sql("postgres", `CREATE DATABASE ${name} OWNER ${role}`);
    return { name, url: this.url(name) };
  }

  url(database, password = this.password) {
    return `postgresql://${role}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`;
  }
}

/** Starts a server that ends when the test file has. */
export async function startPostgres(options) {
  const server = new PostgresServer(options);
  after(async () => {
    if (server.process) await server.stop();
  });
  return server.make();
}
