// `countersign dev-certificate`: what it makes, what can be trusted because of it, when it is made again.
import assert from "node:assert/strict";
import { X509Certificate, createPrivateKey } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";
import { countersign, execute, program, root, temporaryFolder } from "../support/process.mjs";
import { startServer } from "../support/server.mjs";

class Made {
  static async make(args = [], folder = path.join(temporaryFolder("certificate"), "var")) {
    const done = await countersign(["dev-certificate", "--json", "--data-dir", folder, ...args]);
    assert.equal(done.code, 0, done.stderr);
    return Object.assign(new Made(), { folder, ...JSON.parse(done.stdout) });
  }

  again(args) {
    return Made.make(args, this.folder);
  }

  read(file) {
    return fs.readFileSync(file, "utf8");
  }

  leaf() {
    return new X509Certificate(this.read(this.certificate));
  }

  root() {
    return new X509Certificate(this.read(this.authority));
  }

  /** What OpenSSL, which trusts this authority alone, says of a server's name. */
  async verify(name, file = this.certificate) {
    const option = /^[\d.]+$|:/.test(name) ? "-verify_ip" : "-verify_hostname";
    return (await execute("openssl", ["verify", "-CAfile", this.authority, option, name, file])).code === 0;
  }
}

test("loopback names only, 397 days, the key for its owner alone, the authority's key nowhere", async () => {
  const made = await Made.make();
  const [leaf, authority] = [made.leaf(), made.root()];
  assert.ok(authority.ca);
  assert.ok(!leaf.ca);
  assert.ok(leaf.verify(authority.publicKey));
  for (const name of ["localhost", "127.0.0.1", "::1"]) assert.ok(await made.verify(name), name);
  assert.ok(!(await made.verify("example.org")));
  const days = (Date.parse(leaf.validTo) - Date.now()) / 86400_000;
  assert.ok(days > 396 && days < 398, `${days} days`);
  assert.equal(Date.parse(made.expiresAt), Date.parse(leaf.validTo));
  assert.deepEqual(made.names, ["localhost", "127.0.0.1", "::1"]);
  assert.equal(made.authoritySha256, authority.fingerprint256.replaceAll(":", "").toLowerCase());
  assert.equal(fs.statSync(made.key).mode & 0o777, 0o600);
  const files = fs.readdirSync(made.folder, { recursive: true }).map((name) => path.join(made.folder, name));
  const keys = files.filter((file) => fs.statSync(file).isFile() && made.read(file).includes("PRIVATE KEY"));
  assert.deepEqual(keys, [made.key]);
  assert.ok(!leaf.publicKey.equals(authority.publicKey), "the key that is there is not the authority's");
  const text = await execute("openssl", ["x509", "-in", made.authority, "-noout", "-text"]);
  assert.match(text.stdout, /Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+IP:127\.0\.0\.1\/255\.255\.255\.255/);
});

test("what the authority vouches for ends with its names, even for somebody who had its key", async () => {
  const made = await Made.make(["--name", "chat.test"]);
  // Another authority with the same constraints, whose key we do have: the constraints alone must refuse.
  const text = (await execute("openssl", ["x509", "-in", made.authority, "-noout", "-ext", "nameConstraints"])).stdout;
  const permitted = [...text.matchAll(/(DNS|IP):(\S+)/g)].map(([, kind, value]) => `permitted;${kind}:${value}`);
  assert.ok(permitted.includes("permitted;DNS:chat.test"), text);
  const file = (name) => path.join(made.folder, name);
  const run = async (...args) => {
    const done = await execute("openssl", args);
    assert.equal(done.code, 0, done.stderr);
  };
  const constraints = permitted.filter((each) => !each.includes("0:0:0")).join(",");
  await run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=twin",
    "-keyout", file("twin.key"), "-out", file("twin.pem"), "-addext", `nameConstraints=critical,${constraints}`);
  for (const [name, good] of [["chat.test", true], ["sub.chat.test", true], ["example.org", false]]) {
    await run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=leaf",
      "-keyout", file("leaf.key"), "-out", file("leaf.csr"));
    fs.writeFileSync(file("leaf.cnf"), `subjectAltName=DNS:${name}\n`);
    await run("x509", "-req", "-in", file("leaf.csr"), "-CA", file("twin.pem"), "-CAkey", file("twin.key"),
      "-extfile", file("leaf.cnf"), "-out", file("leaf.pem"));
    const verified = await execute("openssl", ["verify", "-CAfile", file("twin.pem"), "-verify_hostname", name, file("leaf.pem")]);
    assert.equal(verified.code === 0, good, `${name}: ${verified.stderr}`);
  }
});

test("a good one is kept; --renew, another name or a lost file makes a new one with a new authority", async () => {
  const first = await Made.make();
  assert.equal(first.made, true);
  const before = first.read(first.authority);
  const kept = await first.again();
  assert.equal(kept.made, false);
  assert.equal(kept.read(kept.authority), before);
  const named = await first.again(["--name", "Chat.TEST", "--name", "192.168.1.7"]);
  assert.equal(named.made, true);
  assert.deepEqual(named.names.slice(3), ["chat.test", "192.168.1.7"]);
  assert.ok((await named.verify("chat.test")) && (await named.verify("192.168.1.7")));
  assert.equal((await first.again()).made, false, "it is for more than what is asked for");
  const renewed = await first.again(["--renew"]);
  assert.equal(renewed.made, true);
  assert.notEqual(renewed.authoritySha256, named.authoritySha256);
  assert.ok(!(await renewed.verify("chat.test")));
  fs.rmSync(renewed.key);
  const mended = await first.again();
  assert.equal(mended.made, true);
  assert.ok(mended.leaf().checkPrivateKey(createPrivateKey(mended.read(mended.key))));
});

test("names of the wide world are refused, and so is what is no name", async () => {
  for (const [name, why] of [
    ["example.org", "real certificate"],
    ["8.8.8.8", "real certificate"],
    ["*.localhost", "not a host name"],
    ["a.test,DNS:example.org", "not a host name"],
  ]) {
    const folder = path.join(temporaryFolder("certificate"), "var");
    const done = await countersign(["dev-certificate", "--data-dir", folder, "--name", name]);
    assert.equal(done.code, 2);
    assert.match(done.stderr, new RegExp(`^countersign: .*${why}.*\n$`));
    assert.ok(!fs.existsSync(path.join(folder, "dev-certificate.pem")));
  }
});

test("it says in words how to trust the authority, and Node does as it says", async () => {
  const made = await Made.make();
  const { stdout } = await countersign(["dev-certificate", "--data-dir", made.folder]);
  for (const way of [/curl --cacert \S+dev-authority\.pem/, /NODE_EXTRA_CA_CERTS=/, /certutil -d sql:/, /Firefox/, /macOS/, /Windows/]) {
    assert.match(stdout, way);
  }
  assert.match(stdout, /nothing was changed/);
  const server = await startServer({
    dataDir: made.folder,
    settings: { "server.tls_certificate": made.certificate, "server.tls_key": made.key },
  });
  const ask = `require("node:https").get("${server.url}/healthz", (answer) => process.exit(answer.statusCode === 200 ? 0 : 1))`;
  const trusting = await execute("node", ["-e", ask], { env: { NODE_EXTRA_CA_CERTS: made.authority } });
  assert.equal(trusting.code, 0, trusting.stderr);
  const doubting = await execute("node", ["-e", ask]);
  assert.notEqual(doubting.code, 0);
  assert.match(doubting.stderr, /SELF_SIGNED_CERT|UNABLE_TO/);
  const curl = await execute("curl", ["-s", "--cacert", made.authority, `${server.url}/healthz`]);
  assert.equal(curl.stdout, '{"status":"alive"}');
});

test("`./run --tls` makes it once and serves with it; an end that is near makes another", async () => {
  const folder = temporaryFolder("run");
  const script = (name, text) => {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text, { mode: 0o755 });
  };
  fs.copyFileSync(path.join(root, "run"), path.join(folder, "run"));
  script("tools/install_packages.sh", "#!/bin/sh\n");
  script("bin/cmake", "#!/bin/sh\n");
  script("build/release/build.ninja", "");
  // The script as it is; the program serves where the test says, once, and ends.
  script("build/release/bin/countersign", `#!/bin/bash\nif [ "$1" = serve ]; then echo "$*"; exit 0; fi\nexec "${program}" "$@"\n`);
  const run = async () => {
    const done = await execute(path.join(folder, "run"), ["--tls"], { env: { PATH: `${folder}/bin:${process.env.PATH}` } });
    assert.equal(done.code, 0, done.stderr);
    return done;
  };
  const first = await run();
  const file = (name) => path.join(folder, "var", name);
  assert.match(first.stdout, new RegExp(`--listen localhost:8443 --tls-certificate ${file("dev-certificate.pem")} --tls-key ${file("dev-certificate.key")}`));
  assert.match(first.stderr, /https:\/\/localhost:8443/);
  const serial = () => new X509Certificate(fs.readFileSync(file("dev-certificate.pem"))).serialNumber;
  const before = serial();
  await run();
  assert.equal(serial(), before);
  const key = "ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(" ");
  // One that ends in 29 days, in place of ours.
  const short = await execute("openssl", ["req", "-x509", "-newkey", ...key, "-subj", "/CN=localhost", "-days", "29",
    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-keyout", file("dev-certificate.key"), "-out", file("dev-authority.pem")]);
  assert.equal(short.code, 0, short.stderr);
  fs.copyFileSync(file("dev-authority.pem"), file("dev-certificate.pem"));
  const near = serial();
  await run();
  assert.notEqual(serial(), near);
});
