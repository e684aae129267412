// Commands shown in the documents run, and print what is shown: every block marked ```console test, page by
// page, in a folder of the page's own that looks like a checkout in which `./run` serves. How blocks are
// read: ../support/transcript.mjs. A block marked ```toml file=NAME is written to that file first.
//
// `./run` is the real script; that it builds is shown by fresh_machine.sh, so here its `cmake` does nothing.
// Each page has ports of its own in place of the ones that are shown.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { cleanEnvironment, execute, program, root, temporaryFolder } from "../support/process.mjs";
import { freePort, startServer } from "../support/server.mjs";
import { StandIns, stepsOf } from "../support/transcript.mjs";
import { Arrivals, within } from "../support/waiting.mjs";

const shownPorts = [8080, 8081, 8443, 9464];

class Page {
  #standIns = new StandIns();
  #ports = new Map();
  #serving = [];
  #used = false;

  async open() {
    for (const port of shownPorts) this.#ports.set(port, await freePort());
    this.folder = temporaryFolder("documents");
    const script = (name, text) => {
      fs.mkdirSync(path.dirname(path.join(this.folder, name)), { recursive: true });
      fs.writeFileSync(path.join(this.folder, name), text, { mode: 0o755 });
    };
    fs.symlinkSync(path.join(root, "tests"), path.join(this.folder, "tests"));
    fs.copyFileSync(path.join(root, "run"), path.join(this.folder, "run"));
    script("tools/install_packages.sh", "#!/bin/sh\n");
    script("bin/cmake", "#!/bin/sh\n");
    script("build/release/build.ninja", "");
    const moved = [8080, 8443].map((port) => `set -- "\${@//localhost:${port}/localhost:${this.#ports.get(port)}}"\n`);
    script("build/release/bin/countersign", `#!/bin/bash\n${moved.join("")}exec "${program}" "$@"\n`);
    fs.symlinkSync(program, path.join(this.folder, "bin/countersign"));
    this.environment = {
      PATH: `${path.join(this.folder, "bin")}:${process.env.PATH}`,
      COUNTERSIGN_METRICS__LISTEN: this.#toReal("127.0.0.1:9464"),
    };
  }

  async close() {
    while (this.#serving.length > 0) await this.#interrupt();
  }

  async step({ command, shown, interrupt }) {
    if (interrupt) return this.#interrupt();
    // A page that does not itself begin with ./run takes for granted that it runs.
    if (!this.#used && !command.startsWith("./run")) await this.#serve("./run", ["…", "ready http://localhost:8080"]);
    this.#used = true;
    const real = this.#standIns.fill(this.#toReal(command));
    if (shown.at(-1)?.startsWith("ready http")) return this.#serve(real, shown);
    const done = await execute("bash", ["-eu", "-o", "pipefail", "-c", `exec 2>&1\n${real}`], {
      cwd: this.folder,
      env: this.environment,
    });
    assert.equal(done.code, 0, `${command}\n${done.stdout}`);
    this.#compare(command, shown, done.stdout);
  }

  #compare(command, shown, output) {
    const printed = this.#toShown(output);
    if (shown.length > 0 && !this.#standIns.accept(shown, printed)) assert.equal(printed, shown.join("\n"), command);
  }

  async #serve(command, shown) {
    // A group of its own, as a terminal has: Ctrl-C reaches all of it.
    const child = spawn("bash", ["-euc", `exec 2>&1\n${command}`], {
      cwd: this.folder,
      env: cleanEnvironment(this.environment),
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    const output = new Arrivals();
    const exit = new Promise((resolve) => child.on("close", (code, signal) => resolve(code ?? signal)));
    const server = { child, command, exit, ended: false };
    running.add(server);
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk) => output.add((text += chunk)));
    exit.then((code) => {
      server.ended = true;
      output.end(new Error(`${command} ended with ${code}:\n${text}`));
    });
    const said = await output.first((all) => /^ready .*\n/m.test(all), `the ready line of ${command}`);
    this.#serving.push(server);
    this.#compare(command, shown, /^[^]*?^ready .*\n/m.exec(said)[0]);
  }

  async #interrupt() {
    const { child, command, exit } = this.#serving.pop();
    process.kill(-child.pid, "SIGINT");
    assert.equal(await within(exit, `the end of ${command}`), 0, command);
  }

  #toReal(text) {
    return text.replaceAll(/\b(localhost|127\.0\.0\.1):(\d+)\b/g, (all, host, port) => {
      return `${host}:${this.#ports.get(Number(port)) ?? port}`;
    });
  }

  #toShown(text) {
    let shown = text;
    for (const [port, real] of this.#ports) shown = shown.replaceAll(`:${real}`, `:${port}`);
    return shown;
  }
}

const running = new Set();
process.on("exit", () => {
  for (const { child, ended } of running) if (!ended) process.kill(-child.pid, "SIGKILL");
});

const listed = await execute("git", ["ls-files", "*.md"], { cwd: root });
assert.equal(listed.code, 0, listed.stderr);
const pages = listed.stdout.trim().split("\n");
let blocks = 0;

for (const name of pages) {
  const text = fs.readFileSync(path.join(root, name), "utf8");
  const found = [...text.matchAll(/^```(?:console (test)|toml file=(\S+))\n([^]*?)^```$/gm)];
  blocks += found.length;
  if (found.length === 0) continue;
  test(name, async (t) => {
    const page = new Page();
    await page.open();
    t.after(() => page.close());
    for (const { index, 2: file, 3: block } of found) {
      const line = text.slice(0, index).split("\n").length;
      await t.test(`line ${line}`, async () => {
        if (file) return fs.writeFileSync(path.join(page.folder, file), block);
        for (const step of stepsOf(block)) await page.step(step);
      });
    }
  });
}

test("there are blocks to run", () => assert.ok(blocks > 10, `${blocks} blocks`));

test("a transcript that differs is told apart", () => {
  const accepts = (shown, printed, before = new StandIns()) => before.accept(shown, printed);
  assert.ok(accepts(["one …", "…", "four"], "one 1\ntwo\nthree\nfour\n"));
  assert.ok(!accepts(["one …", "four"], "one 1\ntwo\nfour\n"));
  assert.ok(!accepts(["one"], "one\ntwo\n"));
  assert.ok(!accepts(["a.b"], "axb"));
  const known = new StandIns();
  assert.ok(accepts(["0123456789abcdef 0123456789abcdef"], "fedcba9876543210 fedcba9876543210", known));
  assert.equal(known.fill("retire 0123456789abcdef"), "retire fedcba9876543210");
  assert.ok(!accepts(["0123456789abcdef"], "0123456789abcdef", known));
  assert.throws(() => stepsOf("output without a command"));
});

test("packaging/countersign.service starts the program as it is, and reload and stop work", async () => {
  const unit = fs.readFileSync(path.join(root, "packaging/countersign.service"), "utf8");
  const setting = (name) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1];
  const [command, verb, ...args] = setting("ExecStart").split(" ");
  assert.deepEqual([command, verb], ["/usr/bin/countersign", "serve"]);
  const stateFolder = `/var/lib/${setting("StateDirectory")}`;
  assert.ok(unit.includes(`data_dir = "${stateFolder}"`), "the head of the unit names the state folder");

  // The settings of the deployment page, in a folder of this test and on a free port.
  const deploy = fs.readFileSync(path.join(root, "docs/operations/deploy.md"), "utf8");
  const behindProxy = [...deploy.matchAll(/^```toml file=\S+\n([^]*?)^```$/gm)].at(-1)[1];
  const folder = temporaryFolder("unit");
  const settings = behindProxy.replace(`"${stateFolder}"`, `"${folder}/var"`);
  assert.notEqual(settings, behindProxy, "the page's data_dir is the unit's state folder");
  fs.writeFileSync(path.join(folder, "countersign.toml"), settings);
  const given = args.map((each) => each.replace("/etc/countersign.toml", path.join(folder, "countersign.toml")));
  assert.notDeepEqual(given, args, "the unit and the page name the same settings file");
  assert.ok(deploy.includes("/etc/countersign.toml"));
  const server = await startServer({ dataDir: path.join(folder, "var"), arguments: given });

  assert.equal(setting("ExecReload"), "/bin/kill -HUP $MAINPID");
  server.process.kill("SIGHUP");
  await server.logged({ event: "secrets_reloaded" });
  assert.equal((await server.stop()).code, 0);

  // systemd waits longer for the end than the program takes by itself.
  const documented = await execute(program, ["config", "doc"]);
  const drain = Number(/^#drain_seconds = (\d+)$/m.exec(documented.stdout)[1]);
  assert.ok(Number(setting("TimeoutStopSec")) > drain);
});

test("docs/operations/metrics.md has every metric, and none that is not there", async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  const server = await startServer({ settings: { "metrics.listen": listen, "compat.sinch_sdk": "true" } });
  await server.logged({ event: "metrics_served" });
  const answer = await (await fetch(`http://${listen}/metrics`)).text();
  const there = [...answer.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
  const table = fs.readFileSync(path.join(root, "docs/operations/metrics.md"), "utf8").split("Worth an alert")[0];
  const rows = [...table.matchAll(/^\| `(countersign_\w+)(?:\{[^}]*\})?` \|(.*)/gm)];
  const described = rows.map((row) => row[1]);
  const atOnce = rows.filter((row) => !row[2].includes("A series appears with its first case")).map((row) => row[1]);
  assert.deepEqual(there.filter((name) => !described.includes(name)), []);
  assert.deepEqual(atOnce.filter((name) => !there.includes(name)), []);
});
