// Somebody else's site: serves the pages of the tutorials from an origin of its own.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { after } from "node:test";

export const jquery = fs.readFileSync(createRequire(import.meta.url).resolve("jquery/dist/jquery.min.js"));

/**
 * @param answer  (path, request) -> HTML, or undefined for "not found".
 * @return {origin, requests}: requests as `METHOD path`.
 */
export async function startSite(answer) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    if (request.url === "/jquery.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(jquery);
      return;
    }
    const html = await answer(request.url, request);
    if (html === undefined) response.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
    else response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html);
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://localhost:${server.address().port}`, requests };
}
