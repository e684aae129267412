// Commands shown in the documents run, and answer what is shown. Blocks are marked ```console test:
//
//     $ a command            runs in a shell, in a folder with var/ and the program on the PATH
//     what it prints         compared; … stands for anything within a line, a line of … for any lines
//
// A server runs on that var/; http://localhost:8080 in a command means it.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { execute, program, root, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";

const shownUrl = "http://localhost:8080";
const folder = temporaryFolder("documents");
const server = await startServer({ dataDir: path.join(folder, "var") });
fs.symlinkSync(path.join(root, "tests"), path.join(folder, "tests"));
fs.mkdirSync(path.join(folder, "bin"));
fs.symlinkSync(program, path.join(folder, "bin/countersign"));
fs.writeFileSync(path.join(folder, "run"), `#!/bin/sh\nexec "${program}" "$@"\n`, { mode: 0o755 });

function pages(under) {
  return fs.readdirSync(path.join(root, under), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(under, entry.name);
    if (entry.isDirectory()) return pages(name);
    return name.endsWith(".md") ? [name] : [];
  });
}

const documents = fs
  .readdirSync(root)
  .filter((name) => name.endsWith(".md"))
  .concat(["docs", "bench", "examples", "tests"].flatMap((name) => (fs.existsSync(path.join(root, name)) ? pages(name) : [])))
  .filter((name) => !name.includes("node_modules"));

/** The commands of a block, each with the lines shown below it. */
function commandsOf(block) {
  const commands = [];
  for (const line of block.split("\n")) {
    const last = commands.at(-1);
    if (last?.unfinished) {
      last.command += `\n${line}`;
      last.unfinished = line.endsWith("\\");
    } else if (line.startsWith("$ ")) {
      commands.push({ command: line.slice(2), shown: [], unfinished: line.endsWith("\\") });
    } else if (last) {
      last.shown.push(line);
    }
  }
  return commands;
}

function patternOf(shown) {
  const quoted = shown.map((line) => {
    if (line.trim() === "…") return "(?:[^\\n]*\\n)*?[^\\n]*";
    return line.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[^\\n]*");
  });
  return new RegExp(`^${quoted.join("\\n")}\\n?$`);
}

let blocks = 0;
for (const name of documents) {
  const text = fs.readFileSync(path.join(root, name), "utf8");
  for (const match of text.matchAll(/^```console test\n([\s\S]*?)^```$/gm)) {
    ++blocks;
    const line = text.slice(0, match.index).split("\n").length;
    test(`${name} line ${line}`, async () => {
      for (const { command, shown } of commandsOf(match[1].trimEnd())) {
        const done = await execute("bash", ["-eu", "-o", "pipefail", "-c", command.replaceAll(shownUrl, server.url)], {
          cwd: folder,
          env: { PATH: `${path.join(folder, "bin")}:${process.env.PATH}` },
        });
        assert.equal(done.code, 0, `${command}\n${done.stdout}${done.stderr}`);
        const printed = done.stdout.replaceAll(server.url, shownUrl);
        if (shown.length > 0) assert.match(printed, patternOf(shown), command);
      }
    });
  }
}

test("there are blocks to run", () => assert.ok(blocks > 0));
