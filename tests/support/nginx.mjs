// nginx with the file of examples/nginx, on a free port of the loopback, in front of one server.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { execute, root, temporaryFolder } from "./process.mjs";
import { freePort } from "./server.mjs";
import { eventually, within } from "./waiting.mjs";

const example = fs.readFileSync(path.join(root, "examples/nginx/countersign.conf"), "utf8");

/** Replaces, and fails if there was nothing to replace. */
export function replaced(text, from, to) {
  const result = text.replace(from, to);
  assert.notEqual(result, text, `${from} is in the example`);
  return result;
}

export class Nginx {
  /**
   * @param port      where it listens.
   * @param upstream  the server's port.
   * @param change    what a test makes of the example's text; default: as it is.
   */
  constructor({ port, upstream, certificate, key, change = (text) => text }) {
    this.port = port;
    this.url = `https://localhost:${port}`;
    this.folder = temporaryFolder("nginx");
    const places = [
      ["listen 443 ssl http2;", `listen 127.0.0.1:${port} ssl http2; listen [::1]:${port} ssl http2;`],
      ["server 127.0.0.1:8080;", `server 127.0.0.1:${upstream};`],
      ["calls.example.org", "localhost"],
      ["/etc/ssl/calls.pem", certificate],
      ["/etc/ssl/calls.key", key],
      ["/var/log/nginx/countersign.log", path.join(this.folder, "access.log")],
      ["/var/log/nginx/countersign-error.log", path.join(this.folder, "site-error.log")],
    ];
    const site = places.reduce((text, [from, to]) => replaced(text, from, to), change(example));
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${path.join(this.folder, name)};`);
    this.configuration = [
      "worker_processes 1;",
      process.getuid() === 0 ? "user root;" : "", // the folder is its owner's alone
      "daemon off;",
      `pid ${path.join(this.folder, "nginx.pid")};`,
      `error_log ${path.join(this.folder, "error.log")} notice;`,
      "events { worker_connections 512; }",
      `http {\n${temporary.join("\n")}\n${site}\n}`,
    ].join("\n");
  }

  async start() {
    const file = path.join(this.folder, "nginx.conf");
    fs.writeFileSync(file, this.configuration);
    const tested = await execute("nginx", ["-t", "-c", file, "-e", path.join(this.folder, "start.log")]);
    assert.equal(tested.code, 0, tested.stderr);
    this.process = spawn("nginx", ["-c", file, "-e", path.join(this.folder, "start.log")], { stdio: "ignore" });
    this.exit = new Promise((resolve) => this.process.once("close", resolve));
    const listening = async () => (await execute("curl", ["-sk", "-o", "/dev/null", this.url])).code === 0;
    await eventually(listening, (yes) => yes, "nginx to listen");
    return this;
  }

  async stop() {
    if (this.process?.exitCode !== null) return;
    this.process.kill("SIGTERM");
    await within(this.exit, "the end of nginx");
  }

  /** All that it has written. */
  logs() {
    const names = fs.readdirSync(this.folder).filter((name) => name.endsWith(".log"));
    return names.map((name) => fs.readFileSync(path.join(this.folder, name), "utf8")).join("");
  }
}

/** Starts one that ends when the test file has. */
export async function startNginx(options) {
  const nginx = new Nginx({ port: await freePort(), ...options });
  after(() => nginx.stop());
  return nginx.start();
}
