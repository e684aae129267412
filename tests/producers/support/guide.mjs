// The producers that docs/guides/from-sinch-js.md shows: each block runs as it stands there.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { execute, root, temporaryFolder } from "../../support/process.mjs";
import { testProducer } from "./producer.mjs";

const guide = fs.readFileSync(path.join(root, "docs/guides/from-sinch-js.md"), "utf8");

/** The guide's one block in a language that defines the function. */
function block(language) {
  const found = [...guide.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map((match) => match[1]).filter((text) => /user_?ticket/i.test(text));
  assert.equal(found.length, 1, `one producer in ${language}`);
  return found[0];
}

async function run(command, args) {
  const done = await execute(command, args);
  assert.equal(done.code, 0, done.stdout + done.stderr);
}

/** What makes a command, called with KEY SECRET NAME, of a block. */
const wrappers = {
  ruby: (text, folder) => {
    fs.writeFileSync(`${folder}/ticket.rb`, `${text}\nputs user_ticket(ARGV[0], ARGV[1], ARGV[2])\n`);
    return ["ruby", `${folder}/ticket.rb`];
  },
  php: (text, folder) => {
    fs.writeFileSync(`${folder}/ticket.php`, `<?php\n${text}\necho user_ticket($argv[1], $argv[2], $argv[3]), "\\n";\n`);
    return ["php", `${folder}/ticket.php`];
  },
  python: (text, folder) => {
    fs.writeFileSync(`${folder}/ticket.py`, `import sys\n${text}\nprint(user_ticket(*sys.argv[1:4]))\n`);
    return ["python3", `${folder}/ticket.py`];
  },
  js: (text, folder) => {
    fs.writeFileSync(`${folder}/ticket.mjs`, `${text}\nconsole.log(userTicket(...process.argv.slice(2, 5)));\n`);
    return ["node", `${folder}/ticket.mjs`];
  },
  ts: async (text, folder) => {
    fs.writeFileSync(`${folder}/ticket.ts`, `${text}\nconsole.log(await userTicket(process.argv[2], process.argv[3], process.argv[4]));\n`);
    await run("esbuild", [`${folder}/ticket.ts`, "--format=esm", "--target=es2022", "--log-level=error", `--outfile=${folder}/from-ts.mjs`]);
    // What is global in Deno, Bun, workers and newer Nodes.
    fs.writeFileSync(`${folder}/ticket-ts.mjs`, `import { webcrypto } from "node:crypto";\nglobalThis.crypto ??= webcrypto;\nawait import("./from-ts.mjs");\n`);
    return ["node", `${folder}/ticket-ts.mjs`];
  },
  java: async (text, folder) => {
    fs.writeFileSync(`${folder}/Guide.java`, `public class Guide {\n${text}\npublic static void main(String[] args) throws Exception { System.out.println(userTicket(args[0], args[1], args[2])); }\n}\n`);
    await run("javac", ["-d", folder, `${folder}/Guide.java`]);
    return ["java", "-cp", folder, "Guide"];
  },
  csharp: async (text, folder) => {
    const library = "/usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll";
    const uses = ["System", "System.Globalization", "System.Security.Cryptography", "System.Text", "Newtonsoft.Json"].map((name) => `using ${name};`);
    const main = "public static void Main(string[] a) { Console.WriteLine(UserTicket(a[0], a[1], a[2])); }";
    fs.writeFileSync(`${folder}/Guide.cs`, `${uses.join("\n")}\npublic static class Guide {\n${text}\n${main}\n}\n`);
    fs.copyFileSync(library, `${folder}/Newtonsoft.Json.dll`);
    await run("mcs", [`-out:${folder}/Guide.exe`, `-r:${library}`, `${folder}/Guide.cs`]);
    return ["mono", `${folder}/Guide.exe`];
  },
};

const names = ["ada", "ada@example.org", "john smith", "zoë 漢字 😀", `a"b\\c/d<e>&f`];

/** Tests the guide's producer in a language: every name comes through as it is, and strict has no complaint. */
export async function testGuide(language) {
  const command = await wrappers[language](block(language), temporaryFolder("guide"));
  testProducer(`the guide's ${language}`, command, [
    ...names.map((name) => ({ what: JSON.stringify(name), name, starts: name })),
    { what: "a plain name", name: "ada", policy: "strict", starts: "ada" },
  ]);
}
