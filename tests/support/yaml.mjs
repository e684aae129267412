// Reads the part of YAML that api/openapi.yaml is written in: block mappings and sequences, flow ones on
// one line, plain and quoted scalars, `|` and `>` blocks, comments. Anything else is an error, not a guess.

export function parseYaml(text) {
  const lines = [];
  text.split("\n").forEach((raw, index) => {
    lines.push({ raw, number: index + 1, indent: raw.search(/\S|$/), text: raw.trim() });
  });
  const reader = new Reader(lines);
  const value = reader.block(0);
  reader.skipBlank();
  if (reader.line) reader.fail("text after the document");
  return value;
}

class Reader {
  constructor(lines) {
    this.lines = lines;
    this.at = 0;
  }

  get line() {
    return this.lines[this.at];
  }

  fail(why) {
    throw new Error(`line ${this.line?.number ?? "at the end"}: ${why}`);
  }

  skipBlank() {
    while (this.line && (this.line.text === "" || this.line.text.startsWith("#") || this.line.text === "---")) ++this.at;
  }

  block(indent) {
    this.skipBlank();
    if (!this.line || this.line.indent < indent) return null;
    return this.line.text.startsWith("- ") || this.line.text === "-" ? this.sequence(this.line.indent) : this.mapping(this.line.indent);
  }

  sequence(indent) {
    const items = [];
    for (this.skipBlank(); this.line?.indent === indent && /^-( |$)/.test(this.line.text); this.skipBlank()) {
      const rest = this.line.text.slice(1).trim();
      if (rest === "") {
        ++this.at;
        items.push(this.block(indent + 1));
      } else if (splitKey(rest)) {
        // `- key: value` begins a mapping whose other keys stand under the first.
        const inner = indent + (this.line.raw.slice(indent + 1).search(/\S/) + 1);
        this.lines[this.at] = { ...this.line, indent: inner, text: rest };
        items.push(this.mapping(inner));
      } else {
        items.push(scalar(stripComment(rest)));
        ++this.at;
      }
    }
    return items;
  }

  mapping(indent) {
    const map = {};
    for (this.skipBlank(); this.line?.indent === indent; this.skipBlank()) {
      const pair = splitKey(this.line.text);
      if (!pair) this.fail("a key is expected");
      const [key, rest] = pair;
      if (key in map) this.fail(`${key} occurs twice`);
      ++this.at;
      map[key] = this.value(stripComment(rest), indent);
    }
    if (this.line && this.line.indent > indent) this.fail("wrong indentation");
    return map;
  }

  value(rest, indent) {
    if (/^[|>][+-]?$/.test(rest)) return this.textBlock(indent, rest[0] === ">");
    if (rest !== "") return scalar(rest);
    this.skipBlank();
    // A sequence may stand at its key's own indentation.
    if (this.line?.indent === indent && /^-( |$)/.test(this.line.text)) return this.sequence(indent);
    return this.block(indent + 1);
  }

  textBlock(indent, folded) {
    const taken = [];
    while (this.line && (this.line.text === "" || this.line.indent > indent)) {
      taken.push(this.line.text === "" ? "" : this.line.raw);
      ++this.at;
    }
    const margin = Math.min(...taken.filter((line) => line !== "").map((line) => line.search(/\S/)));
    const lines = taken.map((line) => line.slice(margin));
    return folded ? lines.join(" ").trim() : lines.join("\n").trimEnd();
  }
}

function splitKey(text) {
  const match = /^("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'{[#&*!|>%@`-][^#]*?|-[^\s#][^#]*?):(?:\s+(.*))?$/.exec(text);
  return match && [scalar(match[1], true), (match[2] ?? "").trim()];
}

function stripComment(text) {
  if (/^["'{[]/.test(text)) return text;
  return text.replace(/\s+#.*$/, "");
}

function scalar(text, isKey = false) {
  if (text.startsWith('"')) return JSON.parse(text);
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'");
  if (isKey) return text;
  if (/^[[{]/.test(text)) return flow(text);
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (text === "true" || text === "false") return text === "true";
  if (text === "null" || text === "~") return null;
  return text;
}

function flow(text) {
  let at = 0;
  const blank = () => {
    while (text[at] === " ") ++at;
  };
  const one = () => {
    blank();
    if (text[at] === "[" || text[at] === "{") {
      const isMap = text[at] === "{";
      const end = isMap ? "}" : "]";
      const result = isMap ? {} : [];
      for (++at, blank(); text[at] !== end; blank()) {
        if (at >= text.length) throw new Error(`unfinished: ${text}`);
        if (isMap) {
          const key = word(/[:]/);
          blank();
          if (text[at++] !== ":") throw new Error(`no colon: ${text}`);
          result[key] = one();
        } else {
          result.push(one());
        }
        blank();
        if (text[at] === ",") ++at;
      }
      ++at;
      return result;
    }
    return word(/[,\]}]/);
  };
  const word = (stop) => {
    blank();
    const quote = text[at];
    if (quote === '"' || quote === "'") {
      const end = text.indexOf(quote, at + 1);
      const value = scalar(text.slice(at, end + 1));
      at = end + 1;
      return value;
    }
    const from = at;
    while (at < text.length && !stop.test(text[at])) ++at;
    return scalar(text.slice(from, at).trim());
  };
  return one();
}
