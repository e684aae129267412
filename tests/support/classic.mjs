// A client of the classic door without the classic SDK: requests, signatures and frames written by hand, so
// that they can be wrong on purpose. An independent implementation, on nothing but Node's own crypto.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { signature } from "./application.mjs";
import { ticketFor } from "./inbox.mjs";
import { RawConnection } from "./raw.mjs";
import { startServer } from "./server.mjs";

export const rest = "/sinch/v1/";
export const contentType = "application/json; charset=UTF-8";

/** A server with the door, without TLS: these clients do not insist. */
export function startClassicVictim({ settings = {}, ...options } = {}) {
  return startServer({ settings: { "compat.sinch_sdk": "true", ...settings }, ...options });
}

/** The headers of a request as the SDK signs it; `signed` overrides what the signature covers. */
export function signedHeaders({ id, secret }, method, path, { body = "", timestamp = new Date().toISOString(), signed = {} } = {}) {
  const target = path.split("?")[0];
  const mac = signature(secret, { method, target, contentType, timestamp, body, ...signed });
  return { authorization: `instance ${id}:${mac}`, "x-timestamp": timestamp, "content-type": contentType };
}

/** A REST answer of the door: any origin may read it, and it is JSON, whatever happened. */
export function assertReadable(answer, status) {
  assert.equal(answer.status, status, answer.body);
  assert.equal(answer.headers["access-control-allow-origin"], "*");
  assert.match(answer.headers["content-type"], /^application\/(problem\+)?json$/);
  assert.equal(typeof JSON.parse(answer.body), "object");
  assert.equal(answer.headers["set-cookie"], undefined);
}

/** What the SDK shows as `errorCode message`. */
export function assertRefused(answer, status, errorCode) {
  assertReadable(answer, status);
  const { errorCode: code, message } = JSON.parse(answer.body);
  assert.equal(code, errorCode, answer.body);
  assert.ok(typeof message === "string" && message !== "", answer.body);
}

/** An error as the browser build of the publish-subscribe library understands it. */
export function assertPlaneError(answer, status, service) {
  assertReadable(answer, status);
  const { error, status: told, message, service: named } = JSON.parse(answer.body);
  assert.deepEqual([error, told], [true, status], answer.body);
  assert.ok(message !== "");
  if (service) assert.equal(named, service);
}

export class PlainClassic {
  /** An instance with its configuration. */
  static async start(server, name, { ticket = ticketFor(server, name), ...options } = {}) {
    const client = new PlainClassic(server, name, options);
    const given = await client.withTicket("POST", `${rest}instance`, ticket);
    assertReadable(given, 200);
    client.instance = given.json;
    await client.configure();
    return client;
  }

  constructor(server, name, options = {}) {
    this.server = server;
    this.name = name;
    this.http = server.client(options);
  }

  async configure() {
    const answer = await this.request("GET", `${rest}configuration/user`);
    assertReadable(answer, 200);
    this.networks = answer.json.rtcConfiguration;
    this.profile = answer.json.rtcProfile;
    this.keys = this.networks.broadcastNetwork;
    this.channels = [this.profile.broadcastChannel, this.profile.transportChannel].sort();
  }

  plain(method, path, { authorization, headers = {}, json, body = json && JSON.stringify(json) } = {}) {
    const sent = { "content-type": contentType, ...(authorization && { authorization }), ...headers };
    return this.http.request(method, path, { headers: sent, body, site: null });
  }

  withTicket(method, path, ticket, body = { version: {}, services: {}, expiresIn: 31536000 }) {
    return this.plain(method, path, { authorization: `user ${ticket}`, json: body });
  }

  /** A signed request. */
  request(method, path, { json, body = json === undefined ? "" : JSON.stringify(json), headers = {}, ...options } = {}) {
    const signed = signedHeaders(this.instance, method, path, { body, ...options });
    return this.http.request(method, path, { headers: { ...signed, ...headers }, body: body || undefined, site: null });
  }

  // The publish-subscribe plane.

  subscribePath(timetoken, { key = this.keys.subscribeKey, channels = this.channels } = {}) {
    return `/subscribe/${key}/${encodeURIComponent([channels].flat().join(","))}/0/${timetoken}?uuid=u&pnsdk=PubNub-JS-Modern%2F3.16.5`;
  }

  subscribe(timetoken, options) {
    return this.http.get(this.subscribePath(timetoken, options));
  }

  /** The present position. */
  async now() {
    const answer = await this.subscribe(0);
    assertReadable(answer, 200);
    const [messages, timetoken] = answer.json;
    assert.deepEqual(messages, []);
    assert.match(timetoken, /^\d{17}$/);
    return timetoken;
  }

  /** Polls from `timetoken` on until there is something: {frames, timetoken}. */
  async poll(timetoken) {
    for (let token = timetoken; ; ) {
      const answer = await this.subscribe(token);
      assertReadable(answer, 200);
      const [frames, next, channels] = answer.json;
      assert.match(next, /^\d{17}$/);
      if (frames.length > 0) {
        assert.equal(channels.split(",").length, frames.length);
        return { frames: frames.map((text, index) => ({ ...parseFrame(text), channel: channels.split(",")[index] })), timetoken: next };
      }
      token = next;
    }
  }

  publishPath(channel, frame, { publishKey = this.keys.publishKey, subscribeKey = this.keys.subscribeKey } = {}) {
    return `/publish/${publishKey}/${subscribeKey}/0/${channel}/0/${encodeURIComponent(JSON.stringify(frame))}?uuid=u`;
  }

  publish(channel, frame, options) {
    return this.http.get(this.publishPath(channel, frame, options));
  }

  async published(channel, frame) {
    const answer = await this.publish(channel, frame);
    assertReadable(answer, 200);
    assert.deepEqual(answer.json.slice(0, 2), [1, "Sent"]);
    assert.match(answer.json[2], /^\d{17}$/);
    return answer.json[2];
  }

  // Messages.

  /** The transport of this user and `names`. */
  async transport(...names) {
    const answer = await this.request("POST", `${rest}transport`, { json: names.map((identity) => ({ identity })) });
    assertReadable(answer, 200);
    return answer.json;
  }

  async transportById(id) {
    const answer = await this.request("GET", `${rest}transport?transportId=${id}&`);
    assertReadable(answer, 200);
    return answer.json;
  }

  /** The frames of a message, as the SDK would write them; `members` overrides what they say. */
  frames(transport, text, { session = crypto.randomUUID(), code = 1, members = {} } = {}) {
    const json = {
      ...(code === 1 ? { bd: JSON.stringify({ t: text }) } : {}),
      md: code,
      bt: "msg",
      bv: 10,
      fu: this.name,
      fi: `${this.instance.id}:7`,
      fd: this.instance.id,
      fc: "",
      fs: this.profile.transportChannel,
      ...members,
    };
    return split(session, encrypt(transport.key, JSON.stringify(json)), transport.transportId);
  }

  /** Sends to everybody in the transport and to itself, as the SDK does. The message's id. */
  async send(transport, text, { session = crypto.randomUUID() } = {}) {
    const channels = [this.profile.transportChannel, ...transport.participants.map(({ channel }) => channel)];
    for (const frame of this.frames(transport, text, { session })) {
      for (const channel of channels) await this.published(channel, frame);
    }
    return session;
  }

  close() {
    this.http.close();
  }
}

export function encrypt(key, text) {
  const raw = Buffer.from(key, "base64");
  const iv = crypto.randomBytes(16);
  const cipher = crypto.createCipheriv(`aes-${raw.length * 8}-cbc`, raw, iv);
  return Buffer.concat([iv, cipher.update(text), cipher.final()]).toString("base64");
}

/** What the frames of one message say, once their parts are joined. */
export function opened(frames, key) {
  const payload = [...frames].sort((one, other) => one.index - other.index).map((frame) => frame.payload).join("");
  const raw = Buffer.from(key, "base64");
  const bytes = Buffer.from(payload, "base64");
  const decipher = crypto.createDecipheriv(`aes-${raw.length * 8}-cbc`, raw, bytes.subarray(0, 16));
  return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]).toString());
}

export function parseFrame(text) {
  const [version, session, mark, index, count, payload, transport, ...rest] = text.split(" ");
  assert.equal(version, "10");
  assert.deepEqual(rest, []);
  // The SDK leaves less room for its own blanks and numbers than it uses.
  assert.ok(text.length <= 1500 + mark.length, `a frame of ${text.length} characters`);
  return { session, mark, index: Number(index), count: Number(count), payload, transport };
}

function split(session, payload, transport) {
  const most = 1485 - session.length - transport.length;
  const count = Math.ceil(payload.length / most);
  const mark = count === 1 ? "-" : String(crypto.randomInt(1, 2 ** 31));
  return Array.from({ length: count }, (_, index) => {
    const part = payload.slice(index * most, (index + 1) * most);
    return `10 ${session} ${mark} ${index} ${count} ${part} ${transport}`;
  });
}

/** A poll on a connection of its own that is answered when it is answered, however long that takes. */
export async function holdPoll(client, timetoken, { server = client.server, localAddress } = {}) {
  const connection = await RawConnection.open(server, { localAddress });
  connection.write(`GET ${client.subscribePath(timetoken)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return connection;
}
