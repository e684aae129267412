// Running the program: commands to their end, and the paths of the tree.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { elsewhere } from "./traffic.mjs";

export const root = process.env.COUNTERSIGN_ROOT ?? fileURLToPath(new URL("../..", import.meta.url));
export const program = process.env.COUNTERSIGN_BIN ?? path.join(root, "build/release/bin/countersign");

/** The environment without settings that the caller's shell may hold. */
export function cleanEnvironment(extra = {}) {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith("COUNTERSIGN_") && name !== "NODE_TEST_CONTEXT") env[name] = value;
  }
  return { ...env, ...extra };
}

const folders = [];
process.on("exit", () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when the test process ends. */
export function temporaryFolder(name = "test") {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `countersign-${name}-`));
  folders.push(folder);
  return folder;
}

/** Runs a program to its end: {code, signal, stdout, stderr}. */
export function execute(command, args, { input = "", env = {}, cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: cleanEnvironment(env), cwd, stdio: ["pipe", "pipe", "pipe"] });
    const out = [];
    const err = [];
    child.stdout.on("data", (chunk) => out.push(chunk));
    child.stderr.on("data", (chunk) => err.push(chunk));
    child.stdin.on("error", () => {}); // it need not read what we send
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

/** Runs `countersign ARGUMENTS…`; what it prints is searched for planted values. */
export async function countersign(args, options) {
  const done = await execute(program, args, options);
  elsewhere.command(args, done);
  return done;
}
