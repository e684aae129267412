// The walk of the Rails tutorial: on our own pages, and with the tutorial's own page against our SDK.
import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import { newPassword } from "../support/people.mjs";
import { plant } from "../support/secrets.mjs";
import { startServer } from "../support/server.mjs";
import { mint, verify } from "../support/tickets.mjs";
import { eventually } from "../support/waiting.mjs";
import { refusal } from "../support/websocket.mjs";
import { Visitor, clientStarted, screenshot, signUpThroughPage, storedSession } from "./support/browser.mjs";
import { startSite } from "./support/site.mjs";

const tutorialPage = fs.readFileSync(new URL("pages/rails.html", import.meta.url), "utf8");

/** The ticket that the page asks for while `act` runs. */
async function ticketDuring(page, act) {
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith("/v1/tickets") && response.status() === 200),
    act(),
  ]);
  return plant("ticket", (await answer.json()).userTicket);
}

test("the whole walk on our pages, with the tutorial's identity: the address as a user name", async () => {
  const server = await startServer({ settings: { "issuing.identity": "email_as_username" } });
  const application = { key: server.applicationKey, secret: server.applicationSecret };
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const email = "ada@example.org";
  const password = newPassword();

  // Not signed in: the sign-in page.
  await page.goto(server.url);
  assert.equal(new URL(page.url()).pathname, "/users/sign_in");
  await screenshot(page, "rails-1-sign-in");

  // Sign up: the client starts with a ticket minted for that person.
  const first = await ticketDuring(page, () => signUpThroughPage(page, server, { email, password }));
  assert.equal(new URL(page.url()).pathname, "/");
  await clientStarted(page);
  const claims = verify(first, application);
  assert.deepEqual(claims.identity, { type: "username", endpoint: email });
  await page.getByText(email).first().waitFor();
  await screenshot(page, "rails-2-client-started");
  const shown = await page.content();
  assert.ok(!shown.includes(application.secret), "the page never holds the secret");
  assert.ok(!shown.includes(first.split(":")[1]), "nor the signature");

  // Reload: a new ticket without a login page.
  const second = await ticketDuring(page, () => page.reload());
  assert.equal(new URL(page.url()).pathname, "/");
  await clientStarted(page);
  assert.deepEqual(verify(second, application).identity, claims.identity);

  // Sign out: client terminated, and everything old is refused everywhere, copied or not.
  const cookies = await visitor.cookies();
  const copy = server.client();
  for (const [name, value] of Object.entries(cookies)) copy.cookies.set(name, plant("session cookie", value));
  const session = await storedSession(page);
  plant("instance secret", session.secret);
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 200, "the copied cookie works before");
  await page.locator("#signOut").click();
  await page.waitForURL("**/users/sign_in");
  assert.equal(await storedSession(page), null, "the tab forgot its client");
  assert.equal((await visitor.cookies())["__Host-cs_session"], undefined);
  assert.equal((await copy.get("/")).status, 303);
  assert.equal((await copy.post("/v1/tickets", { json: {} })).status, 401);
  for (const credential of [first, second, session]) {
    assert.equal((await refusal(server, credential)).reply.error.code, 101);
  }
  await page.goto(server.url);
  assert.equal(new URL(page.url()).pathname, "/users/sign_in");

  // Another browser with the copied cookie is sent to the sign-in page too.
  const thief = await Visitor.open();
  await thief.context.addCookies(
    Object.entries(cookies).map(([name, value]) => ({ name, value, url: server.url.replace("http:", "https:"), secure: true, httpOnly: true })),
  );
  const theirs = await thief.newTab();
  await theirs.goto(server.url);
  assert.equal(new URL(theirs.url()).pathname, "/users/sign_in");
  await thief.close();
  await visitor.close();
});

test("the tutorial's page runs with nothing changed but the script's address", async () => {
  let server;
  const rails = await startSite((path) => {
    if (path === "/users/sign_out") return "<h1>Signed out</h1>";
    if (path !== "/") return undefined;
    // What the tutorial's ApplicationController does, in Node instead of Ruby.
    const ticket = mint({ key: server.applicationKey, secret: server.applicationSecret, username: "ada@example.org" });
    return tutorialPage
      .replace("SERVER", server.url)
      .replace("your_app_key", server.applicationKey)
      .replace("<%=@ticket%>", ticket);
  });
  server = await startServer({ settings: { "server.allowed_origins": rails.origin } });
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  const commentary = [];
  page.on("console", (message) => commentary.push(message.text()));
  await page.goto(rails.origin);
  await page.locator("#clientStart").waitFor({ state: "visible" });
  assert.equal(await page.locator("#clientStart").evaluate((element) => element.style.display), "inline");
  assert.ok(commentary.some((line) => /client started/i.test(line)), commentary.join("\n"));
  assert.ok(commentary.every((line) => !line.includes("=:")), "no ticket in the commentary");
  const session = await page.evaluate("sinchClient.getSession()");
  plant("instance secret", session.secret);
  assert.deepEqual(session.identity, { type: "username", endpoint: "ada@example.org" });

  await page.locator("#signOut").click();
  await page.getByText("Signed out").waitFor();
  await server.logged({ event: "client_connected" });
  // The command left with the page; the instance is gone as soon as the store has it.
  const refused = () => refusal(server, session).catch(() => null);
  const { reply } = await eventually(refused, (outcome) => outcome !== null, "the end of the instance");
  assert.equal(reply.error.code, 101, "terminated before the page left");
  await visitor.close();
});

test("a page of an origin that is not listed is told so, and gets no client", async () => {
  let server;
  const foreign = await startSite((path) =>
    path === "/"
      ? tutorialPage
          .replace("SERVER", server.url)
          .replace("your_app_key", server.applicationKey)
          .replace("<%=@ticket%>", mint({ key: server.applicationKey, secret: server.applicationSecret, username: "eve" }))
          .replace(".then(function() {", ".fail(function(error) { document.title = 'code ' + error.code; }).then(function() {")
      : undefined,
  );
  server = await startServer();
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await page.goto(foreign.origin);
  await page.waitForFunction("document.title === 'code 4507'");
  await visitor.close();
});
