// No core dump may hold a secret: not of the server, and not of any command, however short it lives.
// Each is held where it has, or is about to have, a secret, and asked through /proc.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { newName } from "../support/people.mjs";
import { cleanEnvironment, execute, program, temporaryFolder } from "../support/process.mjs";
import { plant } from "../support/secrets.mjs";
import { eventually, within } from "../support/waiting.mjs";

// A process that may be dumped owns its files in /proc; those of one that may not belong to root. So root
// runs the programs as nobody.
const nobody = 65534;
const user = process.getuid() === 0 ? { uid: nobody, gid: nobody } : {};
const uid = user.uid ?? process.getuid();

const folder = temporaryFolder("core");
const runnable = path.join(folder, "countersign");
fs.copyFileSync(program, runnable);
fs.chmodSync(runnable, 0o755);
const secretFile = path.join(folder, "app.secret");
fs.writeFileSync(secretFile, plant("application secret", crypto.randomBytes(32).toString("base64")));
for (const name of [folder, secretFile]) fs.chownSync(name, uid, user.gid ?? process.getgid());

/** A file whose reader waits: what is read from it has not come yet. */
async function newPipe(name) {
  const pipe = path.join(folder, name);
  assert.equal((await execute("mkfifo", ["-m", "666", pipe])).code, 0);
  return pipe;
}

/** Waits until somebody reads from the pipe, and keeps them waiting until the returned function is called. */
async function hasReader(pipe) {
  const open = async () => {
    await new Promise(setImmediate);
    try {
      return fs.openSync(pipe, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    } catch (error) {
      if (error.code === "ENXIO") return undefined; // nobody yet
      throw error;
    }
  };
  const writer = await eventually(open, (opened) => opened !== undefined, `a reader of ${pipe}`);
  return () => fs.closeSync(writer);
}

async function held(command, args, look) {
  const child = spawn(command, args, { ...user, env: cleanEnvironment(), stdio: ["pipe", "ignore", "ignore"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    await look(child.pid);
  } finally {
    child.kill("SIGKILL");
    await within(ended, "the end of a command");
  }
}

function mayBeDumped(pid) {
  return fs.statSync(`/proc/${pid}/environ`).uid === uid;
}

function coreLimit(pid) {
  return /^Max core file size\s+(\S+)\s+(\S+)\s/m.exec(fs.readFileSync(`/proc/${pid}/limits`, "utf8")).slice(1);
}

function assertNoDump(pid) {
  assert.deepEqual(coreLimit(pid), ["0", "0"]);
  assert.equal(mayBeDumped(pid), false, "PR_SET_DUMPABLE: a core_pattern with a pipe knows no limit");
}

test("the question can be answered with yes", async () => {
  assert.notEqual(uid, 0);
  const pipe = await newPipe("control");
  await held("cat", [pipe], async (pid) => {
    const release = await hasReader(pipe);
    assert.equal(mayBeDumped(pid), true);
    release();
  });
});

const application = ["--app-key", "a-key", "--app-secret-file"];

for (const args of [["user", "add", newName()], ["ticket", "verify", ...application, secretFile], ["ticket", "inspect"]]) {
  test(`\`${args.slice(0, 2).join(" ")}\`, waiting for a password or a ticket on standard input`, async () => {
    await held(runnable, args, async (pid) => {
      // Nothing comes, so it waits, once it has started.
      const limits = async () => {
        await new Promise(setImmediate);
        return coreLimit(pid).join() === "0,0" && !mayBeDumped(pid);
      };
      await eventually(limits, Boolean, "a command that forbids its core dump");
      assertNoDump(pid);
    });
  });
}

for (const [args, option] of [
  [["ticket", "issue", "--app-key", "a-key", "--identity", "username:alice"], "--app-secret-file"],
  [["ticket", "verify", "--app-key", "a-key"], "--app-secret-file"],
  [["app", "create", "an application"], "master_key_file"],
  [["app", "rotate-secret"], "master_key_file"],
  [["user", "list"], "master_key_file"],
  [["serve", "--listen", "localhost:0", "--set", "metrics.listen="], "master_key_file"],
]) {
  const name = args.slice(0, args[0] === "serve" ? 1 : 2).join(" ");
  test(`\`${name}\`, reading its secret`, async () => {
    const pipe = await newPipe(`pipe-${name.replace(" ", "-")}`);
    const more = option.startsWith("--")
      ? [option, pipe]
      : ["--data-dir", path.join(folder, name.replace(" ", "-")), "--set", `${option}=${pipe}`];
    await held(runnable, [...args, ...more], async (pid) => {
      const release = await hasReader(pipe);
      assertNoDump(pid);
      release();
    });
  });
}
