// The processes of a rig: started, killed, paused and started again, each with a log file.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { cleanEnvironment, program } from "../support/process.mjs";
import { settingArguments } from "../support/server.mjs";
import { within } from "../support/waiting.mjs";
import { killTree, pauseTree, resumeTree } from "./process_tree.mjs";

const startMs = 20_000;
const running = new Set();
process.on("exit", () => {
  for (const child of running) {
    if (child.exitCode === null && child.signalCode === null) killTree(child.pid);
  }
});

export class Program {
  /**
   * @param command    what to run
   * @param ready      {line: RegExp} a line of its output, or a function that resolves when it serves
   * @param namespace  network namespace it lives in
   */
  constructor(name, { command, args }, { env = {}, log, ready = { line: /^ready / }, namespace } = {}) {
    Object.assign(this, { name, env, log, ready, namespace });
    [this.command, ...this.args] = namespace ? ["ip", "netns", "exec", namespace, command, ...args] : [command, ...args];
  }

  async start() {
    const out = this.log ? fs.openSync(this.log, "a") : "ignore";
    const child = spawn(this.command, this.args, { env: cleanEnvironment(this.env), stdio: ["ignore", "pipe", out] });
    if (this.log) fs.closeSync(out);
    running.add(child);
    this.child = child;
    this.paused = false;
    this.ended = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        running.delete(child);
        if (this.child === child) this.child = null;
        resolve({ code, signal });
      });
    });
    const failed = this.ended.then(({ code, signal }) => {
      throw new Error(`${this.name} ended with ${code ?? signal}; see ${this.log}`);
    });
    failed.catch(() => {});
    const serving = this.ready.line ? this.#line(child, this.ready.line) : this.ready();
    child.stdout.resume();
    await within(Promise.race([serving, failed]), `${this.name} to serve`, startMs);
  }

  #line(child, wanted) {
    return new Promise((resolve) => {
      let text = "";
      child.stdout.on("data", (chunk) => {
        if (text.length > 65536) return;
        text += chunk;
        if (text.split("\n").some((line) => wanted.test(line))) resolve();
      });
    });
  }

  async kill(signal = "SIGKILL") {
    if (!this.child) return;
    this.child.kill(signal);
    await this.ended;
  }

  /** Resolves when it stands still, with all processes it has started. */
  async pause() {
    if (!this.child) return;
    this.paused = true;
    await pauseTree(this.child.pid);
  }

  resume() {
    this.paused = false;
    if (this.child) resumeTree(this.child.pid);
  }

  /** Running and not paused, whatever it was. */
  async ensure() {
    if (this.paused) this.resume();
    if (!this.child) await this.start();
  }

  async stop() {
    if (this.paused) this.resume();
    if (!this.child) return { code: 0 };
    this.child.kill("SIGTERM");
    return within(this.ended, `the end of ${this.name}`, startMs);
  }
}

const settingsOfRun = {
  "messages.unknown_users": "keep",
  "metrics.listen": "",
  "log.level": "info",
  "server.drain_seconds": 1,
  "limits.max_connections_per_address": 20000,
  "limits.commands_per_second": 500,
  "limits.messages_per_second": 1000,
  // Few people who say in half an hour what others say in years.
  "messages.inbox_entries": 1000000,
  "messages.inbox_entries_of_sender": 1000000,
  "messages.inbox_mebibytes": 4096,
};

export function countersignArguments({ folder, host = "127.0.0.1", port, settings = {} }) {
  return {
    command: program,
    args: ["serve", "--data-dir", folder, "--listen", `${host}:${port}`, ...settingArguments({ ...settingsOfRun, ...settings })],
  };
}

export function readApplication(folder) {
  const read = (name) => fs.readFileSync(path.join(folder, name), "utf8").trim();
  return { key: read("app.key"), secret: read("app.secret") };
}
