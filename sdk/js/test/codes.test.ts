import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

import { closeCodes, errorCodes } from "../src/codes.js";
import * as errors from "../src/errors.js";
import { version } from "../src/version.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

interface Listed {
  readonly number: number;
  readonly name: string;
  readonly temporary?: boolean;
  readonly reconnect?: boolean;
}
const api = JSON.parse(readFileSync(`${root}api/codes.json`, "utf8")) as { errors: Listed[]; closes: Listed[] };

describe("codes.ts", () => {
  test("says what api/codes.json says", () => {
    for (const [code, row] of Object.entries(errorCodes)) {
      const listed = api.errors.find(({ number }) => number === Number(code));
      expect([code, listed?.name, listed?.temporary ?? false]).toEqual([code, row.name, row.temporary]);
    }
    for (const { number, name, reconnect } of api.closes) {
      expect(closeCodes[number]).toMatchObject({ name, reconnect: reconnect ?? number < 4500 });
    }
    expect(Object.keys(closeCodes)).toHaveLength(api.closes.length);
  });

  test("is what the generator writes today", () => {
    execFileSync("python3", [`${root}tools/generate_codes.py`, "--check"], { stdio: "pipe" });
  });

  test("knows every number that the SDK acts on, under the name it uses for it", () => {
    const names = Object.entries(errors).filter(([name]) => /^(code|close)[A-Z]/.test(name));
    expect(names.length).toBeGreaterThan(20);
    for (const [name, value] of names) {
      if (typeof value !== "number") continue;
      const expected = name.replace(/^(code|close)/, "").replace(/[A-Z]/g, (c, i) => (i === 0 ? "" : "_") + c.toLowerCase());
      expect(errors.describeCode(value)?.name).toBe(expected);
    }
  });
});

test("The version is that of the package", () => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
    dependencies?: unknown;
  };
  expect(version).toBe(manifest.version);
  expect(manifest.dependencies).toBeUndefined();
});
