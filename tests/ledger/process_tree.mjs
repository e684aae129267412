// A process with all its descendants, stopped and continued as one. A PostgreSQL whose first process
// alone is stopped takes no new sessions, but those it has go on serving.
import fs from "node:fs";
import { eventually } from "../support/waiting.mjs";

const stopMs = 10_000;
const turn = () => new Promise((resolve) => setImmediate(resolve));

function children(pid) {
  try {
    const threads = fs.readdirSync(`/proc/${pid}/task`);
    return threads.flatMap((thread) => {
      const list = fs.readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
      return list === "" ? [] : list.split(" ").map(Number);
    });
  } catch {
    return []; // it has ended
  }
}

/** The process and all its descendants, parents first. */
export function processTree(pid) {
  return [pid, ...children(pid).flatMap(processTree)];
}

/** Whether no thread of it runs: all are stopped, or it has ended. */
export function stands(pid) {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).every((thread) => {
      const status = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      return "TZX".includes(status[status.lastIndexOf(")") + 2]);
    });
  } catch {
    return true;
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** Resolves when the whole tree stands. Parents come first: who stands makes no more children. */
export async function pauseTree(pid) {
  signal(pid, "SIGSTOP");
  const standing = () => turn().then(() => stands(pid));
  await eventually(standing, (answer) => answer, `process ${pid} to stand still`, stopMs);
  for (const child of children(pid)) await pauseTree(child);
}

/** Everybody goes on; children first, so that nobody misses one who does not answer. */
export function resumeTree(pid) {
  for (const one of processTree(pid).reverse()) signal(one, "SIGCONT");
}

/** Ends the tree at once, also what stands. */
export function killTree(pid) {
  for (const one of processTree(pid)) signal(one, "SIGKILL");
}
