// What must never be written anywhere. Tests plant each password, cookie, ticket and secret they use
// here, and every server that ends is searched for all of them: its output, its files, its metrics, and
// everything it said to anybody (traffic.mjs).
import fs from "node:fs";
import path from "node:path";

const planted = new Map(); // value -> what it is

/** Notes a value that nobody may find; gives it back. Short ones would be found by accident. */
export function plant(kind, value) {
  if (typeof value === "string" && value.length >= 8) planted.set(value, kind);
  return value;
}

export function plantedValues() {
  return planted;
}

/** The forms in which a careless server would write a value. */
function disguises(value) {
  const bytes = Buffer.from(value);
  const forms = new Set([value, encodeURIComponent(value), bytes.toString("base64"), bytes.toString("hex")]);
  forms.add(new URLSearchParams({ v: value }).toString().slice(2));
  forms.add(JSON.stringify(value).slice(1, -1));
  // A ticket is `data:signature`; each half alone opens doors to guessing.
  const [data, signature = ""] = value.split(":");
  if (data.length >= 24 && signature.length >= 24) forms.add(signature);
  return forms;
}

// Thousands of values in megabytes of text: four bytes of each form lead to the few that can stand at a
// place. Rebuilt when something was planted since.
const hintAt = 4; // where in a form its four bytes are: beginnings are alike
const bitmapBits = 20;
let indexedValues = -1;
let bitmap;
let byHint;

function hintBit(hint) {
  return Math.imul(hint, 0x9e3779b1) >>> (32 - bitmapBits);
}

function buildIndex() {
  if (indexedValues === planted.size) return;
  indexedValues = planted.size;
  bitmap = new Uint8Array(1 << bitmapBits);
  byHint = new Map();
  for (const [value, kind] of planted) {
    for (const text of disguises(value)) {
      const form = Buffer.from(text);
      const hint = form.readUInt32LE(hintAt);
      bitmap[hintBit(hint)] = 1;
      const forms = byHint.get(hint) ?? [];
      forms.push({ form, kind, plain: text === value });
      byHint.set(hint, forms);
    }
  }
}

/** Which planted values `bytes` holds, as texts that name the kind and never the value. */
export function findPlanted(bytes, place, allowedKinds = []) {
  buildIndex();
  const haystack = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  const found = new Set();
  let hint = 0;
  for (let end = 0; end < haystack.length; ++end) {
    hint = (hint >>> 8) | (haystack[end] << 24);
    if (bitmap[hintBit(hint)] === 0) continue;
    const start = end - 3 - hintAt;
    for (const { form, kind, plain } of byHint.get(hint >>> 0) ?? []) {
      if (start < 0 || allowedKinds.includes(kind)) continue;
      if (haystack.subarray(start, start + form.length).equals(form)) {
        found.add(`${place} holds a ${kind}${plain ? "" : " in disguise"}`);
      }
    }
  }
  return [...found];
}

/** Files that are there to hold a secret, and which kind. */
const intended = { "app.secret": ["application secret"], "master.key": ["master key"] };

/** Searches every file under `directory`. */
export function searchFiles(directory, also = {}) {
  const found = [];
  const exempt = { ...intended, ...also };
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const full = path.join(directory, entry.name);
    if (entry.isDirectory()) found.push(...searchFiles(full, also));
    else if (entry.isFile()) found.push(...findPlanted(fs.readFileSync(full), `file ${entry.name}`, exempt[entry.name]));
  }
  return found;
}
