// Two gateway nodes, PostgreSQL and three NATS servers, each in a network namespace of its own; any
// of the six is killed, paused or cut off. The clients live in a seventh namespace, which is why this
// program starts itself again in there. Without root there are no namespaces: the processes have
// addresses of the loopback, and none is cut off.
import { spawn, execFileSync } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { temporaryFolder } from "../support/process.mjs";
import { buses, clusterFaults, gateways } from "./faults.mjs";
import { Loopback, Network } from "./network.mjs";
import { Program, countersignArguments } from "./programs.mjs";

const insideVariable = "LEDGER_CLUSTER";
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** In the outer program this never returns: it ends with the inner one. */
export async function clusterRig() {
  if (process.env[insideVariable] === undefined) await startInside();
  return new ClusterRig(JSON.parse(process.env[insideVariable]));
}

async function startInside() {
  const network = process.getuid() === 0 ? new Network() : new Loopback();
  const addresses = {};
  for (const name of ["clients", "pg", ...gateways, ...buses]) addresses[name] = network.add(name);
  const folder = temporaryFolder("ledger-cluster");
  fs.chmodSync(folder, 0o755);
  const cluster = new Cluster(network, addresses, folder);
  await cluster.start();
  const [command, ...args] = cluster.inside("clients", process.execPath, ...process.argv.slice(1));
  const child = spawn(command, args, {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [insideVariable]: JSON.stringify(cluster.facts) },
  });
  // The inner program speaks to clients, this one to processes and links.
  child.on("message", async ({ id, call, args }) => {
    try {
      child.send({ id, result: await cluster[call](...args) });
    } catch (error) {
      child.send({ id, error: error.message });
    }
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  await cluster.stop();
  process.exit(code ?? 1);
}

/** The six processes and their network, as the outer program holds them. */
class Cluster {
  #programs = new Map();

  constructor(network, addresses, folder) {
    Object.assign(this, { network, addresses, folder });
    this.application = { key: crypto.randomUUID(), secret: crypto.randomBytes(32).toString("base64") };
  }

  get facts() {
    const nodes = gateways.map((name) => ({ host: this.addresses[name], port: 8080 }));
    return { nodes, application: this.application, canPart: this.network.canPart };
  }

  /** The command, as it is run where the host lives. */
  inside(host, ...command) {
    const namespace = this.network.namespace(host);
    return namespace === undefined ? command : ["ip", "netns", "exec", namespace, ...command];
  }

  async start() {
    this.#makePostgres();
    for (const name of buses) this.#makeBus(name);
    await Promise.all([...this.#programs.values()].map((program) => program.start()));
    fs.writeFileSync(path.join(this.folder, "app.secret"), this.application.secret, { mode: 0o600 });
    fs.writeFileSync(path.join(this.folder, "master.key"), crypto.randomBytes(32).toString("base64url"), { mode: 0o600 });
    for (const name of gateways) {
      this.#makeGateway(name);
      await this.#programs.get(name).start();
    }
  }

  #makePostgres() {
    const bin = execFileSync("sh", ["-c", "ls -d /usr/lib/postgresql/*/bin | tail -1"]).toString().trim();
    const data = path.join(this.folder, "pg");
    const root = process.getuid() === 0; // whom PostgreSQL refuses
    const asPostgres = root ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : ["env"];
    fs.mkdirSync(data, { mode: 0o700 });
    if (root) execFileSync("chown", ["postgres:postgres", data]);
    execFileSync(asPostgres[0], [...asPostgres.slice(1), `${bin}/initdb`, "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"]);
    fs.appendFileSync(path.join(data, "pg_hba.conf"), `host all all ${this.network.subnet}.0/24 trust\n`);
    const { pg } = this.addresses;
    const args = [...asPostgres.slice(1), `${bin}/postgres`, "-D", data, "-c", `listen_addresses=${pg}`, "-c", `unix_socket_directories=${data}`, "-c", "max_connections=60"];
    this.#add("pg", { command: asPostgres[0], args }, { ready: () => this.#postgresServes(bin) });
  }

  async #postgresServes(bin) {
    for (;;) {
      try {
        this.#in("clients", `${bin}/pg_isready`, "-q", "-h", this.addresses.pg);
        return;
      } catch {
        await pause(100);
      }
    }
  }

  #in(name, ...command) {
    const [program, ...args] = this.inside(name, ...command);
    return execFileSync(program, args, { stdio: "pipe" });
  }

  #makeBus(name) {
    const own = this.addresses[name];
    const routes = buses.filter((other) => other !== name).map((other) => `nats://${this.addresses[other]}:6222`);
    const file = path.join(this.folder, `${name}.conf`);
    fs.writeFileSync(
      file,
      `server_name: ${name}\nlisten: "${own}:4222"\nhttp: "${own}:8222"\njetstream { store_dir: "${this.folder}/${name}" }\n` +
        `cluster { name: ledger, listen: "${own}:6222", routes: ${JSON.stringify(routes)} }\n`,
    );
    this.#add(name, { command: "nats-server", args: ["-c", file] }, { ready: () => this.#busServes(own) });
  }

  async #busServes(address) {
    for (;;) {
      try {
        this.#in("clients", "curl", "-fs", "-m", "1", `http://${address}:8222/varz`);
        return;
      } catch {
        await pause(100);
      }
    }
  }

  #makeGateway(name) {
    const folder = path.join(this.folder, name);
    const settings = {
      "storage.url": `postgresql://postgres@${this.addresses.pg}/postgres`,
      "bus.url": buses.map((bus) => `nats://${this.addresses[bus]}:4222`).join(","),
      "application.key": this.application.key,
      "application.secret_file": path.join(this.folder, "app.secret"),
      master_key_file: path.join(this.folder, "master.key"),
    };
    this.#add(name, countersignArguments({ folder, host: this.addresses[name], port: 8080, settings }));
  }

  #add(name, command, options = {}) {
    const log = path.join(process.env.LEDGER_LOGS ?? this.folder, `${name}.log`);
    this.#programs.set(name, new Program(name, command, { ...options, log, namespace: this.network.namespace(name) }));
  }

  async kill(name) {
    await this.#programs.get(name).kill();
  }

  /** Starts it again, however long it takes: a database first looks at what it finds. */
  async startAgain(name) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#programs.get(name).ensure();
      } catch (error) {
        if (attempt >= 20) throw error;
        await this.#programs.get(name).kill();
        await pause(500);
      }
    }
  }

  async pauseProcess(name) {
    await this.#programs.get(name).pause();
  }

  resumeProcess(name) {
    this.#programs.get(name).resume();
  }

  cut(name) {
    this.network.cut(name);
  }

  mend(name) {
    this.network.mend(name);
  }

  separate(one, other) {
    this.network.separate(one, other);
  }

  join(one, other) {
    this.network.join(one, other);
  }

  async heal() {
    this.network.mendAll();
    for (const name of this.#programs.keys()) await this.startAgain(name);
  }

  async stop() {
    for (const name of [...gateways, ...buses, "pg"]) await this.#programs.get(name).kill(name === "pg" ? "SIGQUIT" : "SIGTERM");
  }
}

/** What begins a fault and what ends it, among the methods of Cluster. */
const deeds = {
  kill: ["kill", "startAgain"],
  pause: ["pauseProcess", "resumeProcess"],
  cut: ["cut", "mend"],
  part: ["separate", "join"],
};

/** The rig as the inner program sees it: everything that is done to processes is asked of the outer one. */
class ClusterRig {
  #waiting = new Map();
  #lastId = 0;

  constructor({ nodes, application, canPart }) {
    Object.assign(this, { nodes, application });
    process.on("message", ({ id, result, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
    this.faults = clusterFaults(canPart);
    if (!canPart) this.notice = "without root there are no network namespaces: nobody is cut off, no two are parted";
  }

  #ask(call, ...args) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      process.send({ id, call, args });
    });
  }

  /** Does what a fault of faults.mjs says, and undoes it after its time. */
  async inflict(deed, choice) {
    const [ms] = choice.slice(-1);
    const hosts = choice.slice(0, -1);
    const [begin, end] = deeds[deed];
    await this.#ask(begin, ...hosts);
    await pause(ms);
    await this.#ask(end, ...hosts);
  }

  heal() {
    return this.#ask("heal");
  }

  async stop() {
    process.disconnect?.();
  }
}
