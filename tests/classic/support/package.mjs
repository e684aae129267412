// The classic SDK as npm has it. Its files are read here, compared with what was looked at, and handed on
// unchanged; whatever it lacks on today's Node and browsers is given to it from outside.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);

/** Every version that is tried, with the SHA-256 of its one script. */
export const versions = {
  "1.4.12": { name: "sinch-rtc", sha256: "bbf9f5d95cc1ee31c3941aaeeb997ff70a5535e9766badd4bda9585e30f80ed4" },
  "1.4.11": { name: "sinch-rtc-1.4.11", sha256: "d2565556cb9ec5a93ec6e5e76eeafa353869d3eef6f922dd6de172d4b83b57b0" },
  "1.4.7": { name: "sinch-rtc-1.4.7", sha256: "44dfb85470a88818219e38720fc90cd38ad8d35acd558d1fb54815e7cc28b728" },
};
export const newest = "1.4.12";

/** {file, text, version} of the SDK's script, and its VERSION file; fails if it is not the one we know. */
export function classicPackage(version = newest) {
  const { name, sha256 } = versions[version];
  const file = require.resolve(name);
  const bytes = fs.readFileSync(file);
  assert.equal(crypto.createHash("sha256").update(bytes).digest("hex"), sha256, `the script of sinch-rtc ${version}`);
  const versionFile = path.join(path.dirname(file), "../VERSION.js");
  return { file, text: bytes.toString(), versionFile, versionText: fs.readFileSync(versionFile, "utf8") };
}

/** The text of a file of another package that the SDK stands on. */
export function packageText(name) {
  return fs.readFileSync(require.resolve(name), "utf8");
}

export function packageFile(name) {
  return require.resolve(name);
}

/** The SDK's own option that brings it here. */
export function urlObj(origin) {
  const sinch = `${origin}/sinch/v1/`;
  return { base: sinch, user: sinch, calling: sinch, messaging: sinch, verification: `${origin}/sinch/verification/v1/` };
}
