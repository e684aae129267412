// Tickets across languages: what the program mints verifies in an independent implementation that
// uses Node's own crypto and nothing of ours, and what that implementation mints in the habits of
// other people's producers verifies in the program.
//
//     COUNTERSIGN_BIN=build/release/bin/countersign node --test tests/interop/
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const program = process.env.COUNTERSIGN_BIN ?? 'build/release/bin/countersign';
const key = '1a006c4a-8d2e-4caf-85e0-c64de1435b8f';
const secretText = '0Qnbtiw9atgEH4JGGiBnXg==';
const secret = Buffer.from(secretText, 'base64');
const now = 1767232800; // 2026-01-01T02:00:00Z

const folder = mkdtempSync(join(tmpdir(), 'countersign-interop-'));
const secretFile = join(folder, 'app.secret');
writeFileSync(secretFile, `${secretText}\n`, { mode: 0o600 });
after(() => rmSync(folder, { recursive: true }));

function run(args, input = '') {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8' });
  if (error) throw error;
  return { status, stdout, stderr };
}

const app = ['--app-key', key, '--app-secret-file', secretFile];

function issue(identity, ...more) {
  const { status, stdout, stderr } = run(
    ['ticket', 'issue', ...app, '--identity', identity, '--now', String(now), ...more]);
  assert.equal(status, 0, stderr);
  return stdout;
}

function verify(ticket, ...more) {
  const { status, stdout } = run(['ticket', 'verify', ...app, '--now', String(now), ...more], ticket);
  const answer = JSON.parse(stdout);
  assert.equal(status, answer.valid ? 0 : 1);
  return answer;
}

// ---- the independent implementation

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function readTicket(ticket) {
  const parts = ticket.split(':');
  assert.equal(parts.length, 2);
  for (const part of parts) assert.match(part, base64);
  const payload = Buffer.from(parts[0], 'base64');
  const expected = createHmac('sha256', secret).update(payload).digest();
  assert.ok(timingSafeEqual(expected, Buffer.from(parts[1], 'base64')), 'the MAC holds');
  return { bytes: payload.toString('latin1'), claims: JSON.parse(payload.toString('utf8')) };
}

function signTicket(payload) {
  const bytes = Buffer.from(payload, 'utf8');
  const mac = createHmac('sha256', secret).update(bytes).digest('base64');
  return `${bytes.toString('base64')}:${mac}`;
}

// ---- the program mints, Node verifies

const people = [
  'username:alice',
  'username:john smith',
  'username:"quoted"\\back/slash',
  'username:<b>&amp;</b>',
  'username:josé',
  'username:漢字 😀',
  'username:a\u2028b',
  `username:${'n'.repeat(255)}`,
  'email:first.last+tag@example.com',
  'number:+46700000000',
];

for (const identity of people) {
  test(`Node verifies the program's ticket for ${identity.slice(0, 40)}`, () => {
    const printed = issue(identity, '--ttl', '600');
    assert.ok(printed.endsWith('\n'));
    const { bytes, claims } = readTicket(printed.slice(0, -1));
    const [type, ...endpoint] = identity.split(':');
    assert.deepEqual(claims, {
      identity: { type, endpoint: endpoint.join(':') },
      expiresIn: 600,
      applicationKey: key,
      created: '2026-01-01T02:00:00Z',
    });
    // The classic SDK decodes to one character per byte: pure ASCII reads the same that way.
    assert.match(bytes, /^[\x20-\x7e]*$/);
    assert.equal(JSON.parse(bytes).identity.endpoint, claims.identity.endpoint);
  });
}

test('the ticket of one person and second is byte for byte what Node would write', () => {
  const payload = JSON.stringify({
    identity: { type: 'username', endpoint: 'alice' },
    expiresIn: 3600,
    applicationKey: key,
    created: '2026-01-01T02:00:00Z',
  });
  assert.equal(issue('username:alice'), `${signTicket(payload)}\n`);
});

// ---- Node mints in other producers' habits, the program verifies

const asciiEscapes = (text) =>
  text.replace(/[\u0080-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

const habits = {
  ruby: {
    payload: (name) => JSON.stringify({
      identity: { type: 'username', endpoint: name }, expiresIn: 3600, applicationKey: key,
      created: '2026-01-01T02:00:00Z',
    }),
    lifetime: 3600,
    strict: true,
  },
  php: {
    payload: (name) => asciiEscapes(JSON.stringify({
      identity: { type: 'username', endpoint: name }, expiresIn: 3600, applicationKey: key,
      created: '2026-01-01T03:00:00+01:00',
    })).replaceAll('/', '\\/'),
    lifetime: 3600,
    strict: true,
  },
  'php with a lifetime from a form': {
    payload: (name) => JSON.stringify({
      identity: { type: 'username', endpoint: name }, expiresIn: '600', applicationKey: key,
      created: '2026-01-01T02:00:00+00:00',
    }),
    lifetime: 600,
    reason: 'bad_lifetime',
  },
  csharp: {
    payload: (name) => JSON.stringify({
      identity: { type: 'username', endpoint: name }, applicationkey: key,
      created: '2026-01-01T01:59:59.1234567Z',
    }),
    lifetime: 3600,
    reason: 'bad_member_name',
  },
  'npm ticketgen': {
    payload: (name) => JSON.stringify({
      applicationKey: key, identity: { type: 'username', endpoint: name },
      created: '2026-01-01T01:59:59.123Z', expiresIn: 86400,
    }),
    lifetime: 86400,
    strict: true,
  },
  python: {
    payload: (name) => asciiEscapes(
      `{"identity": {"type": "username", "endpoint": ${JSON.stringify(name)}}, ` +
      `"applicationKey": "${key}", "expiresIn": 3600, "created": "2026-01-01T01:59:59.123456"}`),
    lifetime: 3600,
    reason: 'bad_created',
  },
};

for (const [producer, habit] of Object.entries(habits)) {
  test(`the program verifies what ${producer} would write`, () => {
    const ticket = signTicket(habit.payload('alice/1'));
    const answer = verify(ticket);
    assert.equal(answer.valid, true, answer.reason);
    assert.deepEqual(answer.identity, { type: 'username', endpoint: 'alice/1' });
    assert.equal(answer.applicationKey, key);
    assert.equal(answer.expiresIn, habit.lifetime);
    assert.equal(Date.parse(answer.expiresAt), Date.parse(answer.created) + habit.lifetime * 1000);
    const strict = verify(ticket, '--policy', 'strict');
    assert.equal(strict.valid, habit.strict ?? false);
    assert.equal(strict.reason, habit.reason);
  });

  test(`names outside ASCII survive from ${producer}`, () => {
    const name = 'josé 漢字 😀';
    assert.equal(verify(signTicket(habit.payload(name))).identity.endpoint, name);
  });
}

test('every change of a single character of a ticket is refused', () => {
  const ticket = issue('username:alice').trimEnd();
  for (let place = 0; place < ticket.length; place += 7) {
    const changed = ticket.slice(0, place) + (ticket[place] === 'x' ? 'y' : 'x') + ticket.slice(place + 1);
    assert.equal(verify(changed).valid, false, `place ${place}`);
  }
});

test('a Ruby-trimmed digest is told apart from a forgery', () => {
  const bytes = Buffer.from(habits.ruby.payload('alice'), 'utf8');
  const mac = createHmac('sha256', secret).update(bytes).digest();
  const short = `${bytes.toString('base64')}:${mac.subarray(0, 31).toString('base64')}`;
  assert.deepEqual(verify(short), { valid: false, reason: 'bad_signature_length' });
});

test('the program runs the interop vectors and counts pairs', () => {
  const file = new URL('vectors/tickets.json', import.meta.url).pathname;
  const { status, stdout } = run(['vectors', file]);
  assert.match(stdout, /^\d+ passed, 0 failed\n$/);
  assert.equal(status, 0);
});
