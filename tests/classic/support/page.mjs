// A person with the classic SDK in a page of Chromium: the same view of it as ClassicClient gives in Node.
import { after } from "node:test";
import { Visitor } from "../../browser/support/browser.mjs";
import { ticketFor } from "../../support/inbox.mjs";
import { plant } from "../../support/secrets.mjs";
import { Arrivals, within } from "../../support/waiting.mjs";
import { newest, urlObj } from "./package.mjs";
import { classicScripts, startClassicSite } from "./site.mjs";

/** What the browser says of PubNub's call to its public service, which the page's policy blocks. */
export const publicTimeService = /pubnub\.com|Content Security Policy/;

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>A page with the classic SDK</title>
${classicScripts}
</head>
<body></body>
</html>`;

const sites = new Map();
after(async () => {
  for (const site of sites.values()) (await site).close();
});

/** The site of a server's pages; one for each, so that tabs share an origin. */
function siteFor(server, version, connect) {
  const origins = [server.origin, ...connect];
  const name = [version, ...origins].join(" ");
  if (!sites.has(name)) sites.set(name, startClassicSite((path) => (path === "/" ? page : undefined), { version, connect: origins, keep: true }));
  return sites.get(name);
}

/** Somebody's browser; its tabs share cookies and local storage. */
export async function openClassicVisitor(options) {
  const visitor = await Visitor.open(options);
  visitor.expect(publicTimeService);
  return visitor;
}

export class ClassicPage {
  messages = new Arrivals();
  receipts = new Arrivals();

  /**
   * A new tab with a SinchClient that is not started.
   * @param connect  further origins that its page may call.
   */
  static async open(visitor, server, { version = newest, config = {}, connect = [] } = {}) {
    const self = new ClassicPage();
    self.server = server;
    self.tab = await visitor.newTab();
    await self.tab.exposeFunction("heardMessage", (message) => self.messages.add(message));
    await self.tab.exposeFunction("heardReceipt", (receipt) => self.receipts.add(receipt));
    self.config = { applicationKey: server.applicationKey, capabilities: { messaging: true }, startActiveConnection: true, urlObj: urlObj(server.url), ...config };
    await self.tab.goto((await siteFor(server, version, connect)).origin);
    await self.makeClient();
    return self;
  }

  /** new SinchClient(…), with listeners. */
  makeClient() {
    return this.tab.evaluate((config) => {
      const client = new SinchClient(config);
      globalThis.client = client;
      globalThis.commentary = [];
      client._logHandler = (line) => globalThis.commentary.push(String(line && line.message));
      if (!config.capabilities.messaging) return;
      client.getMessageClient().addEventListener({
        onIncomingMessage: ({ messageId, textBody, senderId, recipientIds, headers, direction }) =>
          heardMessage({ id: messageId, text: textBody, from: senderId, to: [...recipientIds].sort(), headers, outgoing: Boolean(direction) }),
        onMessageDelivered: ({ messageId, recipientId }) => heardReceipt({ id: messageId, to: recipientId }),
      });
    }, this.config);
  }

  /** undefined once it is started, or the error's text. */
  start(credential) {
    for (const kind of ["password", "userTicket", "sessionSecret"]) plant(kind, credential[kind]);
    const started = this.tab.evaluate(
      (given) => new Promise((resolve) => client.start(given, () => {}, () => {}).then(() => resolve(undefined), (error) => resolve(String(error.message)))),
      credential,
    );
    return within(started, "start() of the classic SDK in a page to settle");
  }

  async startAs(name) {
    this.name = name;
    const refused = await this.start({ userTicket: ticketFor(this.server, name) });
    if (refused !== undefined) throw new Error(`start() was refused: ${refused}`);
    await this.plantSession();
    return this;
  }

  async plantSession() {
    const session = await this.session();
    plant("instance secret", session.sessionSecret);
    return session;
  }

  session() {
    return this.tab.evaluate("client.getSession()");
  }

  /** Sends; {id} once the SDK says that it is sent, or {error}. */
  send(to, text) {
    const sent = this.tab.evaluate(
      ([recipients, words]) => {
        const message = client.getMessageClient().newMessage(recipients, words);
        return new Promise((resolve) => client.getMessageClient().send(message, undefined, () => {}).then(() => resolve({ id: message.messageId }), (error) => resolve({ error: String(error.message) })));
      },
      [to, text],
    );
    return within(sent, "send() of the classic SDK in a page to settle");
  }

  message(text, options) {
    return this.messages.first((message) => message.text === text && !message.outgoing, `the classic message ${text.slice(0, 60)}`, options);
  }

  ownCopy(text, options) {
    return this.messages.first((message) => message.text === text && message.outgoing, `the own copy of ${text.slice(0, 60)}`, options);
  }

  receipt(id, to, options) {
    return this.receipts.first((receipt) => receipt.id === id && (to === undefined || receipt.to === to), `the receipt of ${id} by ${to}`, options);
  }
}
