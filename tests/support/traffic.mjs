// Everything the program says: answers, frames, what commands print. It is kept until the server, or the
// test file, ends, and then searched for planted values. What is meant to hand a secret to somebody is cut
// out first, exactly there and nowhere else, and planted:
//
//   - the value of a cookie in Set-Cookie;
//   - the ticket in the member `userTicket` of an answer of POST /v1/tickets and POST /api/auth;
//   - the instance's secret, once, in the reply to a connection's `connect`;
//   - what the classic SDK is told below /sinch/v1/: the instance's secret, its keys, those of its
//     transports, and the ticket for a password;
//   - the ticket that `ticket issue` prints, and the secret that `app create` and `app rotate-secret` print.
import { findPlanted, plant } from "./secrets.mjs";

const cookieKinds = { session: "session cookie", device: "device cookie", pre: "pre-session cookie" };
const givesTicket = /^POST (\/v1\/tickets|(\/sinchbackend)?\/api\/auth\/?)(\?|$)/i;
const showsNameAgain = /^POST \/users\/sign_(in|up)(\?|$)/; // to whoever typed it

const classicSecrets = [
  { request: /^(POST \/sinch\/v1\/instance|PUT \/sinch\/v1\/instances\/id\/[^/]+\/authorization)$/, members: { secret: "instance secret" } },
  {
    request: /^GET \/sinch\/v1\/configuration\/user$/,
    members: { publishKey: "publish key", subscribeKey: "subscribe key", key: "instance key" },
  },
  { request: /^(GET|POST) \/sinch\/v1\/transport$/, members: { key: "transport key" } },
  { request: /^POST \/sinch\/v1\/users(\/[^/]+\/[^/]+\/authentication)?$/, members: { authorization: "ticket" } },
];

/** The answer to a request of the classic SDK without the secrets that are its to tell, wherever they stand. */
function withoutClassicSecrets(request, body) {
  const { members = {} } = classicSecrets.find((row) => row.request.test(request)) ?? {};
  let rest = body;
  const walk = (node) => {
    for (const [name, value] of Object.entries(node ?? {})) {
      if (typeof value === "object") walk(value);
      else if (members[name] && typeof value === "string") rest = rest.replaceAll(plant(members[name], value), "");
    }
  };
  walk(parsed(body));
  return rest;
}

/** `text` without the first occurrence of a value that it may hold. */
function without(text, value) {
  const at = text.indexOf(value);
  return at < 0 ? text : text.slice(0, at) + text.slice(at + value.length);
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

export class Traffic {
  #said = new Map(); // place and text, so that nothing is kept twice -> {place, text, allowed}

  /** How much there is to search. */
  get size() {
    return this.#said.size;
  }

  add(place, text, allowed) {
    if (text !== "") this.#said.set(`${place}\n${text}`, { place, text, allowed });
  }

  /**
   * An HTTP answer.
   * @param request  method and path, as `POST /api/auth`.
   * @param headers  [[name, value], …]
   */
  answer(request, headers, body) {
    const lines = headers.map(([name, value]) => {
      if (name.toLowerCase() !== "set-cookie") return `${name}: ${value}`;
      const [, cookie, secret] = /^([^=]*)=([^;]*)/.exec(value);
      plant(cookieKinds[cookie.split("cs_")[1]] ?? "cookie", secret);
      return `${name}: ${without(value, secret)}`;
    });
    const place = `the answer to ${request.split("?")[0]}`;
    this.add(`a header of ${place}`, lines.join("\n"));
    const ticket = givesTicket.test(request) ? parsed(body).userTicket : undefined;
    if (typeof ticket === "string") this.add(place, without(body, plant("ticket", ticket)));
    else if (request.includes("/sinch/v1/")) this.add(place, withoutClassicSecrets(request.split("?")[0], body));
    else this.add(place, body, showsNameAgain.test(request) ? ["password typed as a name"] : []);
  }

  /** What a WebSocket brought: messages, pings, the reason of its end. One of these for each connection. */
  connection() {
    let given = false;
    return (kind, text) => {
      let rest = text;
      for (const line of kind === "message" && !given ? text.split("\n") : []) {
        const secret = parsed(line).connect?.secret;
        if (typeof secret !== "string" || given) continue;
        given = true;
        rest = without(rest, plant("instance secret", secret));
      }
      this.add(`a ${kind} of the gateway`, rest);
    };
  }

  /** What a command printed. */
  command(args, { code, stdout, stderr }) {
    const name = args.slice(0, 2).join(" ");
    let rest = stdout;
    if (code === 0 && name === "ticket issue") {
      rest = without(rest, plant("ticket", stdout.trim()));
    } else if (code === 0 && (name === "app create" || name === "app rotate-secret")) {
      const secret = parsed(stdout).secret ?? /^application secret +(\S+)$/m.exec(stdout)?.[1];
      if (secret) rest = without(rest, plant("application secret of the store", secret));
    }
    this.add(`the output of ${name}`, rest);
    this.add(`the errors of ${name}`, stderr);
  }

  /** Which planted values stand in it, as texts that name kind and place and never the value. */
  find() {
    return [...this.#said.values()].flatMap(({ place, text, allowed }) => findPlanted(text, place, allowed));
  }
}

/** What was said to no server's client: by commands, and to browsers. Searched when the test file has ended. */
export const elsewhere = new Traffic();
process.on("exit", () => {
  const found = [...new Set(elsewhere.find())];
  if (found.length === 0) return;
  console.error(found.join("\n"));
  process.exitCode = 1;
});
