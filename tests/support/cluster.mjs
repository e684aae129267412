// Several nodes of one service: one database, one application, one master key; each with a data directory of its own.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { Backend } from "./application.mjs";
import { temporaryFolder } from "./process.mjs";
import { plant } from "./secrets.mjs";
import { settingArguments, startServer } from "./server.mjs";

export class Cluster {
  /**
   * Makes the service, without a node yet.
   * @param postgres  where its database is made (`postgres.mjs`).
   * @param nats      what the nodes tell each other through (`nats.mjs`); without, they only share the database.
   * @param settings  of every node.
   * @param options   of `startServer` for every node.
   */
  static async start({ postgres, nats, settings = {}, ...options }) {
    const self = new Cluster();
    self.postgres = postgres;
    self.options = options;
    self.database = await postgres.database();
    self.folder = temporaryFolder("application");
    self.applicationKey = crypto.randomUUID();
    self.applicationSecret = plant("application secret", crypto.randomBytes(24).toString("base64"));
    const file = path.join(self.folder, "secret");
    fs.writeFileSync(file, `${self.applicationSecret}\n`, { mode: 0o600 });
    self.application = { "application.key": self.applicationKey, "application.secret_file": file };
    self.settings = { ...settings, ...self.application, ...(nats && { "bus.url": nats.url }) };
    self.env = { COUNTERSIGN_STORAGE__URL: self.database.url };
    return self;
  }

  /** Starts one more node, with `backend` as the team's own way in. The first one makes the master key of all. */
  async node() {
    const dataDir = path.join(temporaryFolder("node"), "var");
    fs.mkdirSync(dataDir, { mode: 0o700 });
    const masterKey = path.join(this.folder, "master.key");
    const own = path.join(dataDir, "master.key");
    const first = !fs.existsSync(masterKey);
    if (!first) fs.copyFileSync(masterKey, own);
    const node = await startServer({ ...this.options, dataDir, settings: this.settings, env: this.env });
    if (first) fs.copyFileSync(own, masterKey);
    const { applicationKey, applicationSecret } = this;
    Object.assign(node, { applicationKey, applicationSecret });
    return Object.assign(node, { backend: new Backend(node) });
  }

  /** Starts so many nodes, one after the other. */
  async nodes(count) {
    const nodes = [];
    while (nodes.length < count) nodes.push(await this.node());
    return nodes;
  }

  /** Runs a command on a node's data, as another process; what it printed. */
  async command(node, args) {
    const done = await node.command([...args, ...settingArguments(this.application)], { env: this.env });
    assert.equal(done.code, 0, done.stderr);
    return done.stdout;
  }

  /** Runs SQL in the database, as its superuser. */
  sql(text) {
    return this.postgres.sql(this.database.name, text);
  }
}
