// A disk that fills: a library preloaded into a server lets writes beyond a size fail (`small_disk.c`).
import fs from "node:fs";
import path from "node:path";
import { execute, root, temporaryFolder } from "./process.mjs";

/** A data directory that takes so many bytes: options of `startServer`, and what ends the shortage. */
export async function smallDisk(bytes) {
  const folder = temporaryFolder("full");
  const library = path.join(folder, "small_disk.so");
  const made = await execute("gcc", ["-shared", "-fPIC", "-o", library, path.join(root, "tests/support/small_disk.c"), "-ldl"]);
  if (made.code !== 0) throw new Error(made.stderr);
  const dataDir = path.join(folder, "var");
  return {
    options: { dataDir, env: { LD_PRELOAD: library, SMALL_DISK: dataDir, SMALL_DISK_BYTES: String(bytes) } },
    makeRoom: () => fs.writeFileSync(path.join(dataDir, "more-room"), ""),
  };
}
