// Modules of the pages' scripts for tests without a page: bundled as the build does it, and imported.
import { execFile } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { root, temporaryFolder } from "../../support/process.mjs";

/** @param source  below web/src, for instance `chat_state.ts`. */
export async function importPageModule(source) {
  const output = path.join(temporaryFolder("bundle"), source.replace(/\.ts$/, ".mjs"));
  const input = path.join(root, "web/src", source);
  const options = ["--bundle", "--format=esm", "--target=es2022", "--log-level=error", `--outfile=${output}`];
  await promisify(execFile)("esbuild", [input, ...options]);
  return import(pathToFileURL(output).href);
}
