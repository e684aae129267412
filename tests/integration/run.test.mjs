// ./run, without its building: what it serves, over http and over https, and that the classic door is open there and
// nowhere else unless somebody says so.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { ClassicClient } from "../classic/support/client.mjs";
import { Device, ticketFor } from "../support/inbox.mjs";
import { newName } from "../support/people.mjs";
import { cleanEnvironment, program, root, temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { Traffic } from "../support/traffic.mjs";
import { Arrivals, within } from "../support/waiting.mjs";

const running = new Set();
after(() => Promise.all([...running].map((each) => each.stop())));

function writeScript(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `#!/usr/bin/env bash\n${text}\n`, { mode: 0o755 });
}

/** The script in a tree of its own: nothing to install or to build, and a free port in place of its own. */
async function runScript(...args) {
  const folder = temporaryFolder("run");
  fs.copyFileSync(path.join(root, "run"), path.join(folder, "run"));
  writeScript(path.join(folder, "tools/install_packages.sh"), "");
  writeScript(path.join(folder, "bin/cmake"), "");
  writeScript(path.join(folder, "build/release/bin/countersign"), `exec ${program} "\${@/localhost:8[04]*/localhost:0}"`);
  const env = cleanEnvironment({ PATH: `${path.join(folder, "bin")}:${process.env.PATH}` });
  const child = spawn("bash", ["run", ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const lines = new Arrivals();
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text) => text.trim().split("\n").forEach((line) => lines.add(line)));
  ended.then(() => lines.end(new Error(`./run ended: ${said}`)));
  const self = {
    stop: async () => {
      running.delete(self);
      child.kill("SIGTERM");
      return within(ended, "the end of ./run");
    },
  };
  running.add(self);
  const ready = await lines.first((line) => line.startsWith("ready "), "./run to serve");
  const data = path.join(folder, "var");
  const authority = path.join(data, "dev-authority.pem");
  const url = ready.slice("ready ".length).replace(/\/$/, "");
  return Object.assign(self, {
    data,
    url,
    origin: url,
    port: Number(new URL(url).port),
    ca: fs.existsSync(authority) ? fs.readFileSync(authority) : undefined,
    applicationKey: fs.readFileSync(path.join(data, "app.key"), "utf8").trim(),
    applicationSecret: plant("application secret", fs.readFileSync(path.join(data, "app.secret"), "utf8").trim()),
    traffic: new Traffic(),
    said: () => said,
  });
}

test("./run serves over http, with the classic door open and two people to try things with", async () => {
  const server = await runScript();
  const answer = await fetch(`${server.url}/sinch/v1/timestamp/`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  assert.match(server.said(), /^ +ada +password \S+$/m);
  assert.equal(await server.stop(), 0);
});

test("./run --tls: the classic SDK starts, as it insists on https, and writes to somebody on the native SDK", async () => {
  const server = await runScript("--tls");
  assert.match(server.url, /^https:/);
  const alice = new ClassicClient(server);
  await alice.start({ userTicket: ticketFor(server, newName("alice")) });
  const bob = await Device.connect(server, newName("bob"));
  await alice.send(bob.name, "out of the box");
  await bob.message("out of the box");
  bob.drop();
  alice.close();
  assert.equal(await server.stop(), 0);
});

test("unless it is said, the classic door is closed: no REST, no publish-subscribe, no CORS", async () => {
  const server = await startServer();
  const client = server.client();
  for (const where of ["/sinch/v1/timestamp/", "/time/0", "/subscribe/demo/x/0/0", "/publish/a/b/0/c/0/%22d%22"]) {
    const answer = await client.get(where, { site: null });
    assert.equal(answer.status, 404, where);
    assert.equal(answer.headers["access-control-allow-origin"], undefined, where);
  }
});
