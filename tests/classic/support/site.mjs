// Somebody's site whose pages load the classic SDK as plain scripts: PubNub, Q, a few lines that stand in for
// npm, and the SDK's one file, unchanged.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { after } from "node:test";
import { classicPackage, newest, packageText } from "./package.mjs";

const require = createRequire(import.meta.url);

/** What the npm package expects to find around itself, and a script tag does not give. */
const standIn = `
var module = { exports: {} };
var global = window;
function require(name) {
  return {
    pubnub: window.PUBNUB,
    q: window.Q,
    xmlhttprequest: { XMLHttpRequest: window.XMLHttpRequest },
    btoa: window.btoa.bind(window),
    atob: window.atob.bind(window),
    localStorage: window.localStorage,
    wrtc: {},
    "sinch-ticketgen": function () { throw new Error("an application secret has no place in a page"); },
    "../VERSION": { version: window.VERSION },
  }[name];
}
`;

/** The script tags that take the place of the vendor's one. */
export const classicScripts = ["/pubnub.js", "/q.js", "/version.js", "/stand-in.js", "/sinch.js"]
  .map((source) => `<script src="${source}"></script>`)
  .join("\n");

/**
 * The policy for a page with this SDK: it reaches the gateway and nothing else, so PubNub's call to its public
 * time service, which no option prevents, does not leave the browser.
 */
export const contentPolicy = (origins) => `connect-src ${[origins].flat().join(" ")}`;

/**
 * @param answer   (path, request) -> HTML or undefined.
 * @param connect  origins that its pages may call.
 * @param keep     whether it outlives the test that starts it; then the caller closes it.
 * @return {origin, close}
 */
export async function startClassicSite(answer, { version = newest, connect, keep = false } = {}) {
  const { text, versionText } = classicPackage(version);
  const pubnub = path.join(path.dirname(require.resolve("pubnub/package.json")), "modern/dist/pubnub.js");
  const jquery = createRequire(new URL("../../browser/support/site.mjs", import.meta.url)).resolve("jquery/dist/jquery.min.js");
  const scripts = {
    "/pubnub.js": fs.readFileSync(pubnub),
    "/q.js": packageText("q"),
    "/version.js": versionText.replace("exports.version = VERSION;", ""),
    "/stand-in.js": standIn,
    "/sinch.js": text,
    "/jquery.js": fs.readFileSync(jquery),
  };
  const server = http.createServer(async (request, response) => {
    const script = scripts[request.url];
    if (script !== undefined) return response.writeHead(200, { "content-type": "text/javascript; charset=utf-8" }).end(script);
    const html = await answer(request.url, request);
    if (html === undefined) return response.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
    const headers = { "content-type": "text/html; charset=utf-8" };
    if (connect) headers["content-security-policy"] = contentPolicy(connect);
    return response.writeHead(200, headers).end(html);
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  if (!keep) after(close);
  return { origin: `http://localhost:${server.address().port}`, close };
}
