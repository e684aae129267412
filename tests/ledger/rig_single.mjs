// One node with SQLite, killed with SIGKILL again and again.
import { freePort } from "../support/server.mjs";
import { temporaryFolder } from "../support/process.mjs";
import { singleFaults } from "./faults.mjs";
import { Program, countersignArguments, readApplication } from "./programs.mjs";

export async function singleRig({ folder = temporaryFolder("ledger"), settings = {}, programEnvironment = {} } = {}) {
  const port = await freePort();
  const node = new Program("countersign", countersignArguments({ folder, port, settings }), { env: programEnvironment, log: `${folder}.log` });
  await node.start();
  return {
    nodes: [{ host: "127.0.0.1", port }],
    application: readApplication(folder),
    faults: singleFaults,
    async inflict() {
      await node.kill();
      await node.start();
    },
    async heal() {
      await node.ensure();
    },
    async stop() {
      return node.stop();
    },
  };
}
