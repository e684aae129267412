// Transcripts in the documents: what a block of ```console test shows, and whether a command printed it.
//
//     $ a command            a line that ends in \ goes on in the next
//     what it prints         compared, both streams; … stands for anything within a line, a line of … for any lines
//     ready http://…         the last line of a command that serves, which then stays up
//     ^C                     ends the last one that serves
//
// An application key, a fingerprint and a demo person's password are different each time: the one that is
// shown stands for the one that is printed in its place, and for the same one from there on, in commands too.

const standIn = String.raw`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16}\b|\b(?=\w*\d)(?=\w*[A-Z])[0-9A-Za-z]{20}\b`;

/** What a block says to do, in order: {command, shown} or {interrupt: true}. */
export function stepsOf(block) {
  const steps = [];
  for (const line of block.trimEnd().split("\n")) {
    const last = steps.at(-1);
    if (last?.unfinished) {
      last.command += `\n${line}`;
      last.unfinished = line.endsWith("\\");
    } else if (line.startsWith("$ ")) {
      steps.push({ command: line.slice(2), shown: [], unfinished: line.endsWith("\\") });
    } else if (line === "^C") {
      steps.push({ interrupt: true });
    } else if (last?.shown) {
      last.shown.push(line);
    } else {
      throw new Error(`no command printed this: ${line}`);
    }
  }
  return steps;
}

/** The values that a page's stand-ins have in this run. */
export class StandIns {
  #values = new Map();

  /** `text` with every stand-in that is known by now replaced. */
  fill(text) {
    return text.replace(new RegExp(standIn, "g"), (shown) => this.#values.get(shown) ?? shown);
  }

  /** Whether `printed` is what the lines of `shown` say; learns the stand-ins that are new. */
  accept(shown, printed) {
    const fresh = [];
    const lines = shown.map((line) => {
      if (line.trim() === "…") return "(?:[^\\n]*\\n)*?[^\\n]*";
      return line
        .split(new RegExp(`(…|${standIn})`))
        .map((part, index) => (index % 2 === 0 ? quoted(part) : this.#pattern(part, fresh)))
        .join("");
    });
    const match = new RegExp(`^${lines.join("\\n")}\\n*$`).exec(printed);
    if (match) fresh.forEach((name, index) => this.#values.set(name, match[index + 1]));
    return match !== null;
  }

  #pattern(part, fresh) {
    if (part === "…") return "[^\\n]*";
    if (this.#values.has(part)) return quoted(this.#values.get(part));
    if (fresh.includes(part)) return `\\${fresh.indexOf(part) + 1}(?![0-9])`;
    fresh.push(part);
    return "([0-9A-Za-z-]+)";
  }
}

function quoted(text) {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
