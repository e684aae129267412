// A person with the classic SDK in Node, and the servers that have a door for it.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { ticketFor } from "../../support/inbox.mjs";
import { countersign, temporaryFolder } from "../../support/process.mjs";
import { startServer } from "../../support/server.mjs";
import { Arrivals, within } from "../../support/waiting.mjs";
import { urlObj } from "./package.mjs";
import { Sandbox } from "./sandbox.mjs";

let certificate;

/** The development certificate of this test file: {certificate, key, authority, ca}. */
export async function devCertificate() {
  certificate ??= (async () => {
    const made = await countersign(["dev-certificate", "--json", "--data-dir", temporaryFolder("certificate")]);
    assert.equal(made.code, 0, made.stderr);
    const files = JSON.parse(made.stdout);
    return { ...files, ca: fs.readFileSync(files.authority) };
  })();
  return certificate;
}

/** The settings of a server with the classic door; it speaks TLS, as the SDK insists. */
export async function classicSettings(more = {}) {
  const { certificate: file, key } = await devCertificate();
  return { "compat.sinch_sdk": "true", "server.tls_certificate": file, "server.tls_key": key, ...more };
}

/** Starts a server with the classic door. */
export async function startClassicServer({ settings = {}, ...options } = {}) {
  const { ca } = await devCertificate();
  return startServer({ settings: await classicSettings(settings), ca, ...options });
}

const open = new Set();
after(() => {
  for (const tab of open) tab.close();
});

/** A browser: what its tabs share is its local storage. */
export class ClassicBrowser {
  storage = {};

  constructor(server, { version } = {}) {
    Object.assign(this, { server, version });
  }

  tab(options = {}) {
    return new ClassicClient(options.server ?? this.server, { version: this.version, storage: this.storage, ...options });
  }
}

/** One SinchClient, with everything it tells an application. */
export class ClassicClient {
  /** Messages that listeners were given: {id, text, from, to, headers, outgoing}. */
  messages = new Arrivals();
  /** Deliveries that listeners were told of: {id, to}. */
  receipts = new Arrivals();
  /** What it says of its work. */
  log = new Arrivals();

  constructor(server, { version, storage, clockOffset, applicationKey = server.applicationKey, origin = server.url, config = {} } = {}) {
    this.server = server;
    this.sandbox = new Sandbox(server, { version, storage, clockOffset });
    open.add(this);
    this.sinch = new this.sandbox.SinchClient({
      applicationKey,
      capabilities: { messaging: true },
      startActiveConnection: true,
      urlObj: urlObj(origin),
      onLogMessage: (line) => this.log.add(line),
      ...config,
    });
    if (config.capabilities && !config.capabilities.messaging) return;
    this.sinch.getMessageClient().addEventListener({
      onIncomingMessage: (message) => this.messages.add(shape(message)),
      onMessageDelivered: (info) => this.receipts.add({ id: info.messageId, to: info.recipientId }),
    });
  }

  /** Settles as start() does; an error if it hangs. */
  start(credential, { ms } = {}) {
    return settled(this.sinch.start(credential, () => {}, () => {}), "start()", ms);
  }

  /** The error that start() ends with. */
  async refused(credential) {
    const outcome = await this.start(credential).then(
      () => undefined,
      (error) => error,
    );
    assert.ok(outcome, "start() succeeded, and should have been refused");
    return outcome;
  }

  newUser(person) {
    return settled(this.sinch.newUser(person, (created) => created, () => {}), "newUser()");
  }

  /** Sends; the message once the SDK says that it is sent. */
  async send(to, text, headers) {
    const message = this.sinch.getMessageClient().newMessage(to, text, headers);
    await settled(this.sinch.getMessageClient().send(message, undefined, () => {}), "send()");
    return shape(message);
  }

  /** The same, for a send that is awaited later: {id, done}. */
  sending(to, text) {
    const message = this.sinch.getMessageClient().newMessage(to, text);
    return { id: message.messageId, done: new Promise((resolve, reject) => this.sinch.getMessageClient().send(message, undefined, () => {}).then(resolve, reject)) };
  }

  /** The first message with this text that somebody else sent. */
  message(text, options) {
    return this.messages.first((message) => message.text === text && !message.outgoing, `the classic message ${text.slice(0, 60)}`, options);
  }

  ownCopy(text, options) {
    return this.messages.first((message) => message.text === text && message.outgoing, `the own copy of ${text.slice(0, 60)}`, options);
  }

  receipt(id, to, options) {
    return this.receipts.first((receipt) => receipt.id === id && (to === undefined || receipt.to === to), `the receipt of ${id} by ${to}`, options);
  }

  texts() {
    return this.messages.all.map(({ text }) => text);
  }

  get session() {
    return this.sinch.getSession();
  }

  /** The first answered request to a path. */
  answered(method, pattern, options) {
    return this.sandbox.answers.first((note) => note.method === method && pattern.test(note.path), `an answer to ${method} ${pattern}`, options);
  }

  /** The first request of a path, answered or not. */
  asked(method, pattern, options) {
    return this.sandbox.requests.first((note) => note.method === method && pattern.test(note.path), `the request ${method} ${pattern}`, options);
  }

  /** A poll that the server holds; the first of those begun from now on, or the present one. */
  async polling({ from = 0 } = {}) {
    return this.asked("GET", /^\/subscribe\/[^/]+\/[^/]+\/0\/[1-9]\d*/, { from });
  }

  terminate() {
    this.sinch.terminate();
  }

  /** The tab dies. */
  close() {
    open.delete(this);
    this.sandbox.close();
  }
}

function shape(message) {
  return {
    id: message.messageId,
    text: message.textBody,
    from: message.senderId,
    to: [...message.recipientIds].sort(),
    headers: message.headers,
    outgoing: Boolean(message.direction),
  };
}

/** A promise of Q as one of ours, with a deadline. */
function settled(promise, what, ms) {
  return within(
    new Promise((resolve, reject) => promise.then(resolve, reject)),
    `${what} of the classic SDK to settle`,
    ms,
  );
}

/** A started client with a ticket minted on the spot. */
export async function startedClient(server, name, options) {
  const client = new ClassicClient(server, options);
  await client.start({ userTicket: ticketFor(server, name) });
  return client;
}

/** The files of the certificate, for programs that want paths. */
export async function certificateFiles() {
  const { certificate: file, key, authority } = await devCertificate();
  return { certificate: path.resolve(file), key: path.resolve(key), authority: path.resolve(authority) };
}
