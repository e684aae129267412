// api/openapi.yaml and the running server say the same: every address and method that is described
// answers as described, and nothing else is there.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { newName, newPassword, newPerson } from "../support/people.mjs";
import { root } from "../support/process.mjs";
import { freePort, startServer } from "../support/server.mjs";
import { verify } from "../support/tickets.mjs";
import { plant } from "../support/secrets.mjs";
import { parseYaml } from "../support/yaml.mjs";

const document = parseYaml(fs.readFileSync(path.join(root, "api/openapi.yaml"), "utf8"));
const metricsPort = await freePort();
const server = await startServer({ settings: { "metrics.listen": `127.0.0.1:${metricsPort}`, "compat.sinch_sdk": "true" } });
const methods = ["get", "post", "put", "patch", "delete"];

function resolve(node) {
  if (node?.$ref === undefined) return node;
  return node.$ref.split("/").slice(1).reduce((at, part) => at[part.replaceAll("~1", "/")], document);
}

/** Addresses that another listener serves say so by a server of their own. */
function isOfSite(item) {
  return item.servers === undefined;
}

const operations = [];
for (const [address, item] of Object.entries(document.paths)) {
  if (!isOfSite(item)) continue;
  for (const method of methods) if (item[method]) operations.push({ address, method, operation: item[method] });
}

function real(address) {
  return address.replaceAll(/\{[^}]+\}/g, "x");
}

/** Checks an answer against the operation's description of it. */
function assertDescribed({ address, method, operation }, answer) {
  const what = `${method.toUpperCase()} ${address} answered ${answer.status}`;
  const described = resolve(operation.responses[answer.status] ?? operation.responses.default);
  assert.ok(described, `${what}, which is not described`);
  const type = (answer.headers["content-type"] ?? "").split(";")[0];
  if (answer.body !== "" && described.content) {
    assert.ok(type in described.content, `${what} as ${type}, described as ${Object.keys(described.content)}`);
    const schema = described.content[type].schema;
    if (type.endsWith("json") && schema) assertSchema(JSON.parse(answer.body), schema, what);
  }
  for (const name of Object.keys(described.headers ?? {})) {
    const header = resolve(described.headers[name]);
    const value = answer.headers[name.toLowerCase()];
    if (value === undefined) assert.equal(header.required, false, `${what} without ${name}`);
    else if (header.schema?.type === "integer") assertSchema(Number(value), header.schema, `${what}: ${name}`);
    else assertSchema(value, header.schema ?? {}, `${what}: ${name}`);
  }
}

function assertSchema(value, given, what) {
  const schema = resolve(given);
  for (const part of schema.allOf ?? []) assertSchema(value, part, what);
  if (schema.type) {
    const actual = Array.isArray(value) ? "array" : value === null ? "null" : Number.isInteger(value) ? "integer" : typeof value;
    const allowed = [schema.type].flat();
    assert.ok(allowed.includes(actual) || (actual === "integer" && allowed.includes("number")), `${what}: ${actual} for ${schema.type}`);
  }
  if ("const" in schema) assert.equal(value, schema.const, what);
  if (schema.enum) assert.ok(schema.enum.includes(value), `${what}: ${value}`);
  if (schema.pattern) assert.match(value, new RegExp(schema.pattern), what);
  for (const name of schema.required ?? []) assert.ok(name in value, `${what}: ${name} is missing`);
  if (schema.properties && value && typeof value === "object") {
    for (const [name, inner] of Object.entries(schema.properties)) if (name in value) assertSchema(value[name], inner, `${what}.${name}`);
    if (schema.additionalProperties === false) {
      for (const name of Object.keys(value)) assert.ok(name in schema.properties, `${what}: ${name} is not described`);
    }
  }
}

test("the document is OpenAPI 3.1 with the contract's addresses", () => {
  assert.match(document.openapi, /^3\.1\./);
  for (const address of [
    "/", "/users/sign_up", "/users/sign_in", "/users/sign_out", "/v1/tickets", "/v1/gateway", "/api/auth",
    "/sdk/countersign.js", "/sdk/countersign.mjs", "/healthz", "/readyz",
  ]) {
    assert.ok(document.paths[address], `${address} is not described`);
  }
  assert.match(document.info.description, /GET \/metrics.*metrics\.listen/);
});

for (const each of operations) {
  test(`${each.method.toUpperCase()} ${each.address}: a stranger's answer is described`, async () => {
    const answer = await server.client().request(each.method.toUpperCase(), real(each.address));
    assert.notEqual(answer.status, 405);
    assertDescribed(each, answer);
  });

  test(`${each.method.toUpperCase()} ${each.address}: a signed-in person's answer is described`, async () => {
    const { client } = await newPerson(server);
    const options = each.method === "get" ? {} : { form: each.address.endsWith("sign_out") ? { _method: "delete" } : {} };
    const answer = await client.request(each.method.toUpperCase(), real(each.address), options);
    assertDescribed(each, answer);
  });
}

test("methods that are not described are 405, with exactly the described ones in Allow", async () => {
  const client = server.client();
  for (const [address, item] of Object.entries(document.paths)) {
    if (!isOfSite(item)) continue;
    const described = methods.filter((method) => item[method]).map((method) => method.toUpperCase());
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
      if (described.includes(method)) continue;
      const answer = await client.request(method, real(address));
      assert.equal(answer.status, 405, `${method} ${address}`);
      const allowed = answer.headers.allow.split(", ").filter((name) => name !== "OPTIONS" && name !== "HEAD");
      assert.deepEqual(allowed.sort(), described.sort(), address);
    }
  }
});

test("addresses that are not described are 404", async () => {
  for (const address of ["/admin", "/users", "/v1", "/v1/ticket", "/api", "/sdk", "/users/sign_in/", "/index.html"]) {
    assert.equal((await server.client().get(address)).status, 404, address);
  }
});

test("the good answers are described too", async () => {
  const find = (address, method) => operations.find((each) => each.address === address && each.method === method);
  const name = newName();
  const password = newPassword();
  const client = server.client();
  assertDescribed(find("/users/sign_up", "post"), await client.signUp(name, password));
  const given = await client.post("/v1/tickets", { json: {} });
  assertDescribed(find("/v1/tickets", "post"), given);
  verify(plant("ticket", given.json.userTicket), { key: server.applicationKey, secret: server.applicationSecret });
  const auth = await client.post("/api/auth", { json: { username: name, password }, site: null });
  assert.equal(auth.status, 200);
  plant("ticket", auth.json.userTicket);
  assertDescribed(find("/api/auth", "post"), auth);
  assertDescribed(find("/users/sign_out", "delete"), await client.request("DELETE", "/users/sign_out"));
  assertDescribed(find("/users/sign_in", "post"), await client.signIn(name, password));
  assertDescribed(find("/v1/tickets", "post"), await client.post("/v1/tickets", { json: {}, site: "cross-site" }));
});
