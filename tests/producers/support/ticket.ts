// The TypeScript copies of sinch-ticketgen that run in browsers: what they sign is a byte for each character.
//   node ticket-ts.mjs KEY SECRET NAME AGO     (after esbuild has taken the types away)
import crypto from "node:crypto";

interface UserTicket {
  applicationKey: string;
  identity: { type: string; endpoint: string };
  created: string;
}

function ticket(key: string, secret: string, name: string, created: string): string {
  const userTicket: UserTicket = { applicationKey: key, identity: { type: "username", endpoint: name }, created };
  const json: string = JSON.stringify(userTicket).replace(" ", "");
  const bytes: Buffer = Buffer.from(json, "latin1"); // what btoa and a binary HMAC make of it
  const digest: string = crypto.createHmac("sha256", Buffer.from(secret, "base64")).update(bytes).digest("base64");
  return bytes.toString("base64") + ":" + digest;
}

const [key, secret, names, ago]: string[] = process.argv.slice(2);
for (const name of names.split("\n")) {
  console.log(ticket(key, secret, name, new Date(Date.now() - Number(ago) * 1000).toISOString()));
}
