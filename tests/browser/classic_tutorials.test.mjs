// Both tutorials' pages with the classic SDK in place of ours: nothing changed but the scripts and `urlObj`.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import test from "node:test";
import { devCertificate, startClassicServer, startedClient } from "../classic/support/client.mjs";
import { urlObj } from "../classic/support/package.mjs";
import { openClassicVisitor } from "../classic/support/page.mjs";
import { classicScripts, startClassicSite } from "../classic/support/site.mjs";
import { newName } from "../support/people.mjs";
import { plant } from "../support/secrets.mjs";
import { mint } from "../support/tickets.mjs";
import { trustAuthority } from "./support/browser.mjs";

await trustAuthority((await devCertificate()).authority);

function tutorial(name, server) {
  const text = fs.readFileSync(new URL(`pages/${name}.html`, import.meta.url), "utf8");
  const withScripts = text.replace(`<script src="SERVER/sdk/countersign.js"></script>`, classicScripts);
  const pointed = withScripts.replace(/applicationKey: (["'])\w+\1,/, `applicationKey: "${server.applicationKey}",\n      urlObj: ${JSON.stringify(urlObj(server.url))},`);
  assert.ok(withScripts !== text && pointed !== withScripts);
  return pointed;
}

test("the Rails tutorial's page: Client started; signing out terminates", async () => {
  let server;
  const site = await startClassicSite((path) => {
    if (path === "/users/sign_out") return "<h1>Signed out</h1>";
    if (path !== "/") return undefined;
    const ticket = mint({ key: server.applicationKey, secret: server.applicationSecret, username: "ada@example.org" });
    return tutorial("rails", server).replace("<%=@ticket%>", ticket);
  });
  server = await startClassicServer();
  const visitor = await openClassicVisitor();
  visitor.expect(/ERR_NAME_NOT_RESOLVED|ERR_BLOCKED|Failed to load resource/);
  const page = await visitor.newTab();
  const commentary = [];
  page.on("console", (message) => commentary.push(message.text()));
  await page.goto(site.origin);
  await page.locator("#clientStart").waitFor({ state: "visible" });
  assert.ok(commentary.some((line) => /Successfully started SinchClient/.test(line)), commentary.join("\n"));
  assert.equal(await page.evaluate("sinchClient.getSession().userId"), "ada@example.org");
  plant("instance secret", await page.evaluate("sinchClient.getSession().sessionSecret"));
  const bob = await startedClient(server, newName("bob"));
  await bob.send("ada@example.org", "hello, tutorial");
  await bob.receipt((await bob.ownCopy("hello, tutorial")).id, "ada@example.org");
  await page.locator("#signOut").click();
  await page.getByText("Signed out").waitFor();
  bob.close();
  await visitor.close();
});

const post = `
$.post('SERVER/api/auth', signInObj,
        function(authTicket) {
            sinchClient.start(authTicket, function () {
    //On success, show the UI
    showUI();
}).fail(handleError);
}).fail(handleError);
`;

test("the C# tutorial's page: password to our endpoint, its ticket to the classic SDK", async () => {
  let server;
  const site = await startClassicSite((path) => (path === "/" ? tutorial("csharp", server).replace("// CALL", post.replace("SERVER", server.url)) : undefined));
  server = await startClassicServer({ settings: { "server.allowed_origins": site.origin } });
  const visitor = await openClassicVisitor();
  visitor.expect(/ERR_NAME_NOT_RESOLVED|Failed to load resource|status of 403/);
  const name = newName();
  const password = plant("password", crypto.randomBytes(18).toString("base64url"));
  assert.equal((await server.client().signUp(name, password)).status, 303);
  const page = await visitor.newTab();
  const logIn = async (typed) => {
    await page.goto(site.origin);
    await page.locator("#username").fill(name);
    await page.locator("#password").fill(typed);
    await page.locator("#loginUser").click();
  };
  await logIn(plant("password", crypto.randomBytes(18).toString("base64url")));
  await page.getByText("ERROR 403").waitFor();
  await logIn(password);
  await page.locator("#ui").waitFor({ state: "visible" });
  assert.equal(await page.locator("#error").textContent(), "");
  assert.equal(await page.evaluate("sinchClient.getSession().userId"), name);
  plant("instance secret", await page.evaluate("sinchClient.getSession().sessionSecret"));
  await visitor.close();
});

test("the C# tutorial's page: a ticket that is refused comes to its handleError", async () => {
  let server;
  const site = await startClassicSite((path) =>
    path === "/" ? tutorial("csharp", server).replace("// CALL", "sinchClient.start({userTicket: signInObj.password}, showUI).fail(handleError);") : undefined,
  );
  server = await startClassicServer();
  const visitor = await openClassicVisitor();
  visitor.expect(/ERR_NAME_NOT_RESOLVED|Failed to load resource|SinchError|401/);
  const page = await visitor.newTab();
  await page.goto(site.origin);
  const key = server.applicationKey;
  await page.locator("#password").fill(mint({ key, secret: Buffer.alloc(16, 3).toString("base64"), username: "eve" }));
  await page.locator("#loginUser").click();
  await page.getByText(/ERROR {2}401\d\d /).waitFor();
  assert.equal(await page.locator("#ui").isVisible(), false);
  await visitor.close();
});
