// The npm package sinch-ticketgen 0.0.6 itself, which the SDK's Node build uses as well.
//   node ticket.cjs KEY SECRET NAME AGO
const { createRequire } = require("node:module");
const path = require("node:path");

const generate = createRequire(path.join(__dirname, "../../classic/package.json"))("sinch-ticketgen");
const [key, secret, names, ago] = process.argv.slice(2);
for (const name of names.split("\n")) {
  const created = new Date(Date.now() - Number(ago) * 1000).toISOString();
  console.log(generate(key, secret, { username: name }, created).userTicket);
}
