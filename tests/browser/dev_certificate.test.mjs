// A browser that was told to trust the development authority, as its guide says, and one that was not.
import assert from "node:assert/strict";
import test from "node:test";
import { classicSettings, devCertificate } from "../classic/support/client.mjs";
import { newName, newPassword } from "../support/people.mjs";
import { countersign, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";
import { Visitor, clientStarted, signUpThroughPage, trustAuthority } from "./support/browser.mjs";

const { authority } = await devCertificate();
await trustAuthority(authority);

test("pages, cookies and the gateway's socket work over https without a warning", async () => {
  const settings = await classicSettings({ "compat.sinch_sdk": "false" });
  const server = await startServer({ settings });
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await signUpThroughPage(page, server, { name: newName("ada"), password: newPassword() });
  await clientStarted(page);
  assert.ok(await page.evaluate("isSecureContext"));
  await visitor.close();
});

test("an authority that was not trusted is refused", async () => {
  const made = await countersign(["dev-certificate", "--json", "--data-dir", temporaryFolder("other")]);
  const other = JSON.parse(made.stdout);
  const server = await startServer({ settings: { "server.tls_certificate": other.certificate, "server.tls_key": other.key } });
  const visitor = await Visitor.open();
  const page = await visitor.newTab();
  await assert.rejects(page.goto(`${server.url}/users/sign_in`), /ERR_CERT_AUTHORITY_INVALID/);
  await visitor.close();
});
