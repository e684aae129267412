// The walk of the C# tutorial: its page, on the server's origin or another, posts user name and password and
// starts with the ticket it gets.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import test from "node:test";
import { newName } from "../support/people.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { verify } from "../support/tickets.mjs";
import { Visitor, screenshot } from "./support/browser.mjs";
import { jquery, startSite } from "./support/site.mjs";

const page = fs.readFileSync(new URL("pages/csharp.html", import.meta.url), "utf8");

/** The tutorial's call, to the letter but for the host; `.fail` on $.post is the test's own addition. */
const withQuery = `
$.post('SERVER/SinchBackend/Api/Auth/?username=' +
        signInObj.username +
        '&password='+signInObj.password,
        function(authTicket) {
            sinchClient.start(authTicket, function () {
    //On success, show the UI
    showUI();
}).fail(handleError);
})POST_FAIL;
`;

const withForm = `
$.post('SERVER/api/auth', signInObj,
        function(authTicket) {
            sinchClient.start(authTicket, function () {
    //On success, show the UI
    showUI();
}).fail(handleError);
})POST_FAIL;
`;

const calls = [
  ["with the query string, the switch on", withQuery, { "compat.query_credentials": "true" }],
  ["with a form body", withForm, {}],
];
const places = ["on the server's own origin", "on another origin, which is allowed"];

/**
 * Writes the tutorial's page into a tab at an address of the server itself, as if the server had it among its
 * own. (An intercepted answer would not do: Chromium takes it for the Internet's, which may not call localhost.)
 */
async function showAtServer(tab, server, html) {
  await tab.route(`${server.url}/jquery.js`, (route) => route.fulfill({ contentType: "text/javascript", body: jquery }));
  await tab.goto(`${server.url}/healthz`);
  await tab.setContent(html);
}

for (const [what, call, settings] of calls) {
  for (const place of places) {
    test(`the tutorial's page ${place}, ${what}`, async () => {
      let server;
      let postFail = "";
      const html = () =>
        page
          .replace("// CALL", call.replace("POST_FAIL", postFail))
          .replaceAll("SERVER", server.url)
          .replace("APPLICATION_KEY", server.applicationKey);
      const elsewhere = place !== places[0];
      const site = elsewhere ? await startSite((path) => (path.startsWith("/page") ? html() : undefined)) : undefined;
      server = await startServer({ settings: { ...settings, ...(site && { "server.allowed_origins": site.origin }) } });
      const visitor = await Visitor.open({ bypassCSP: !elsewhere });
      const name = newName();
      // The tutorial puts the password into the address as it is.
      const password = plant("password", crypto.randomBytes(18).toString("base64url"));
      assert.equal((await server.client().signUp(name, password)).status, 303);

      const tab = await visitor.newTab();
      const show = (query) => (elsewhere ? tab.goto(`${site.origin}/page${query}`) : showAtServer(tab, server, html()));
      const logIn = async (typed) => {
        await tab.locator("#username").fill(name);
        await tab.locator("#password").fill(typed);
        const [answer] = await Promise.all([
          tab.waitForResponse((response) => /api\/auth/i.test(response.url())),
          tab.locator("#loginUser").click(),
        ]);
        return answer;
      };

      await show("");
      const answer = await logIn(password);
      assert.equal(answer.status(), 200);
      assert.equal(answer.headers()["set-cookie"], undefined);
      assert.equal(answer.headers()["access-control-allow-origin"], site?.origin);
      const ticket = plant("ticket", (await answer.json()).userTicket);
      const claims = verify(ticket, { key: server.applicationKey, secret: server.applicationSecret });
      assert.deepEqual(claims.identity, { type: "username", endpoint: name });
      await tab.locator("#ui").waitFor({ state: "visible" });
      assert.equal(await tab.locator("#error").textContent(), "");
      await screenshot(tab, "csharp-started");

      visitor.expect(/status of 403/);
      const wrong = plant("password", crypto.randomBytes(18).toString("base64url"));
      postFail = ".fail(handleError)";
      await show("?again");
      assert.equal((await logIn(wrong)).status(), 403);
      await tab.getByText("ERROR 403").waitFor();
      assert.equal(await tab.locator("#ui").isVisible(), false);
      assert.deepEqual(await visitor.cookies(), {}, "the endpoint sets none");
      await visitor.close();
    });
  }
}

test("the query string with the switch off: 400, which says so, and no ticket", async () => {
  const server = await startServer();
  const visitor = await Visitor.open({ bypassCSP: true });
  visitor.expect(/status of 400/);
  const html = () =>
    page
      .replace("// CALL", withQuery.replace("POST_FAIL", ".fail(handleError)"))
      .replaceAll("SERVER", server.url)
      .replace("APPLICATION_KEY", server.applicationKey);
  const name = newName();
  const password = plant("password", crypto.randomBytes(18).toString("base64url"));
  assert.equal((await server.client().signUp(name, password)).status, 303);
  const tab = await visitor.newTab();
  await showAtServer(tab, server, html());
  await tab.locator("#username").fill(name);
  await tab.locator("#password").fill(password);
  await tab.locator("#loginUser").click();
  await tab.getByText("ERROR 400").waitFor();
  assert.equal(await tab.locator("#ui").isVisible(), false);
  await visitor.close();
});

test("`start().fail(handleError)` runs when the ticket is refused", async () => {
  let server;
  const site = await startSite((path) =>
    path === "/"
      ? page
          .replace("// CALL", "sinchClient.start({userTicket: signInObj.password}, showUI).fail(handleError);")
          .replaceAll("SERVER", server.url)
          .replace("APPLICATION_KEY", server.applicationKey)
      : undefined,
  );
  server = await startServer({ settings: { "server.allowed_origins": site.origin } });
  const other = await startServer();
  const client = other.client();
  await client.signUp(newName(), plant("password", crypto.randomBytes(18).toString("base64url")));
  const foreign = await client.ticket();
  const visitor = await Visitor.open();
  const tab = await visitor.newTab();
  for (const ticket of ["no ticket at all", foreign]) {
    await tab.goto(site.origin);
    await tab.locator("#password").fill(ticket);
    await tab.locator("#loginUser").click();
    await tab.getByText("ERROR").waitFor();
    assert.equal(await tab.locator("#ui").isVisible(), false);
  }
  await visitor.close();
});

test("a page of an origin that is not listed cannot read the answer", async () => {
  let server;
  const site = await startSite((path) =>
    path === "/"
      ? page
          .replace("// CALL", withForm.replace("POST_FAIL", ".fail(handleError)"))
          .replaceAll("SERVER", server.url)
          .replace("APPLICATION_KEY", server.applicationKey)
      : undefined,
  );
  server = await startServer();
  const name = newName();
  const password = plant("password", crypto.randomBytes(18).toString("base64url"));
  await server.client().signUp(name, password);
  const visitor = await Visitor.open();
  visitor.expect(/CORS|ERR_FAILED/);
  const tab = await visitor.newTab();
  await tab.goto(site.origin);
  await tab.locator("#username").fill(name);
  await tab.locator("#password").fill(password);
  await tab.locator("#loginUser").click();
  await tab.getByText("ERROR").waitFor();
  assert.equal(await tab.locator("#ui").isVisible(), false);
  await visitor.close();
});
