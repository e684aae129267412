/**
 * The two files that are served, and the typings, are built as the product build does it: with Debian's
 * esbuild, which is older than the one npm brings.
 */
import { execFileSync } from "node:child_process";
import { webcrypto as crypto } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const home = fileURLToPath(new URL("..", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "countersign-sdk-"));
const scripts = (JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { scripts: Record<string, string> })
  .scripts;

/** Runs a script of package.json, with its output going to the test's own folder. */
function build(name: string): void {
  const command = (scripts[name] ?? "").replace(/dist\//g, `${out}/`);
  const [program = "", ...args] = command.split(" ");
  execFileSync(program, [...args, "--log-level=warning"], { cwd: home, stdio: "pipe" });
}

beforeAll(() => {
  build("build:classic");
  build("build:module");
}, 60_000);
afterAll(() => rmSync(out, { recursive: true }));

describe("countersign.js", () => {
  const browser = { URL, crypto, performance, console, setTimeout, clearTimeout, TextDecoder, atob };

  function load(document: object | undefined): Record<string, unknown> {
    const context: Record<string, unknown> = { ...browser, document, location: { origin: "https://shop.example" } };
    runInNewContext(readFileSync(join(out, "countersign.js"), "utf8"), context);
    return context;
  }

  test("defines SinchClient and Countersign, and no other global", () => {
    const given = new Set([...Object.keys(browser), "document", "location"]);
    const added = Object.keys(load(undefined)).filter((name) => !given.has(name));
    expect(added.sort()).toEqual(["Countersign", "SinchClient"]);
    const { SinchClient, Countersign } = load(undefined) as { SinchClient: unknown; Countersign: object };
    expect(typeof SinchClient).toBe("function");
    expect(Object.keys(Countersign).sort()).toEqual([
      "Client",
      "CountersignError",
      "SinchClient",
      "clientCodes",
      "closeCodes",
      "describeCode",
      "errorCodes",
      "readTicket",
      "version",
    ]);
  });

  test("talks to the origin its script came from", () => {
    const context = load({ currentScript: { src: "https://chat.example:8443/sdk/countersign.js" } });
    let opened = "";
    context["opened"] = (url: string) => {
      opened = url;
      throw new Error("enough");
    };
    context["ticket"] = `${Buffer.from(
      '{"identity":{"type":"username","endpoint":"alice"},"applicationKey":"k"}',
    ).toString("base64")}:${"A".repeat(43)}=`;
    const code = `new SinchClient({ applicationKey: "k", environment: { openTransport: opened } }).start(ticket)`;
    const started = runInNewContext(code, context) as PromiseLike<unknown>;
    return started.then(
      () => expect.unreachable(),
      (error: unknown) => {
        expect(opened).toBe("wss://chat.example:8443/v1/gateway");
        expect((error as { errorCode: number }).errorCode).toBe(908);
      },
    );
  });

  test("is smaller than 96 kB and needs no eval", () => {
    const text = readFileSync(join(out, "countersign.js"), "utf8");
    expect(text.length).toBeLessThan(96 * 1024);
    expect(text).not.toMatch(/\beval\(|new Function|import\(|document\.write|innerHTML/);
  });
});

describe("countersign.mjs", () => {
  test("exports the same names and loads where there is no browser", () => {
    const program = `
      import * as sdk from ${JSON.stringify(pathToFileURL(join(out, "countersign.mjs")).href)};
      console.log(Object.keys(sdk).sort().join(" "), new sdk.Client("https://chat.example").state);`;
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    expect(said.trim()).toBe(
      "Client CountersignError SinchClient clientCodes closeCodes describeCode errorCodes readTicket version disconnected",
    );
  });
});

describe("The typings", () => {
  test("serve a strict page and hold back what is wrong", () => {
    const tsc = join(home, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.types.json", "--outDir", join(out, "types")], { cwd: home });
    writeFileSync(join(out, "package.json"), '{"type":"module"}');
    writeFileSync(
      join(out, "page.ts"),
      `import { Client, SinchClient, CountersignError, type Session } from "./types/index.js";
       import "./types/classic.js";
       const client = new Client("https://chat.example", { getTicket: async () => "ticket" });
       client.on("state", ({ state, end }) => { const s: "disconnected" | "connecting" | "connected" = state; void s; void end?.reason; });
       client.on("expired", ({ reason }) => reason.length);
       const session: Session | null = client.getSession();
       if (session) void client.connect(session).then((info) => info.expiresAt.getTime());
       const sinch: SinchClient = new globalThis.SinchClient({ applicationKey: "k", onLogMessage: (m) => void m.message });
       client.messages.on("message", async (message) => void message.text.length);
       const sending = client.messages.conversation("bob").send({ text: "hello", headers: { x: "1" } });
       sending.message.on("state", ({ state }) => { const s: "queued" | "sending" | "accepted" | "delivered" | "read" | "failed" = state; void s; });
       void sending.then((sent) => sent.seq);
       void (async () => { for await (const { from } of client.messages.conversation(["bob", { type: "email", endpoint: "c@example.org" }])) void from.endpoint; })();
       void client.signOut({ discardUnsent: true });
       const classic = sinch.getMessageClient();
       classic.addEventListener({ onIncomingMessage(message) { void message.textBody; }, onMessageDelivered: ({ recipientId }) => void recipientId });
       classic.send(classic.newMessage(["bob"], "hello")).fail(() => undefined);
       sinch.start({ userTicket: "t" }, () => undefined).fail((e) => { if (e instanceof CountersignError) void e.errorCode; }).progress((p) => void p.message);
       // @ts-expect-error there is no such event
       client.on("unheard", () => undefined);
       // @ts-expect-error a client does not start with a number
       void client.connect(7);
       // @ts-expect-error private parts stay private
       void client.link;
      `,
    );
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noEmit"];
    const target = ["--target", "es2022", "--module", "node16", "--moduleResolution", "node16"];
    execFileSync(process.execPath, [tsc, ...strict, ...target, "page.ts"], { cwd: out, stdio: "pipe" });
  }, 120_000);
});
