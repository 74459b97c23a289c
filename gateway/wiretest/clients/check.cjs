// What every client's script shares. Settings come in CLIENT, as JSON: base and key,
// what an app changes; model; poor, a key whose budget is spent; direct, true when no
// gateway stands between. Each check prints one line of JSON with the ids of its
// requests.
const settings = JSON.parse(process.env.CLIENT);

let calls = 0;
const plain = globalThis.fetch;
globalThis.fetch = (...args) => { calls++; return plain(...args); };

function expect(condition, what) {
  if (!condition) throw new Error(typeof what === 'string' ? what : JSON.stringify(what));
}

function same(got, want) {
  expect(JSON.stringify(got) === JSON.stringify(want), `got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

// How many calls leave while something runs.
async function count(run) {
  const before = calls;
  const result = await run();
  return [calls - before, result];
}

// The error with which something fails.
async function failure(run) {
  try {
    await run();
  } catch (e) {
    return e;
  }
  throw new Error('did not fail');
}

// A word for the upstream that no other run uses.
let words = 0;
const fresh = (kind) => `wire:${kind}-${process.pid}n${words++}`;

// The picture that tests send: one pixel.
const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const seen = 'I see image/png of 70 bytes.';
const echo = (text) => `You said: ${text} – naïve 東京.`;

// What failed and where in the script.
const told = (e) => String(e.stack ?? e).split('\n').filter((line, i) => i === 0 || line.includes('/clients/')).join('\n').slice(0, 900);

async function main(checks) {
  const only = process.env.ONLY;
  for (const [name, run] of Object.entries(checks)) {
    if (only && !name.includes(only) || (settings.without ?? []).some((w) => name.startsWith(w))) continue;
    let line = { name, ok: true };
    try {
      line.requests = [(await run()) ?? []].flat();
    } catch (e) {
      line = { name, ok: false, detail: told(e) };
    }
    console.log(JSON.stringify(line));
  }
}

module.exports = { settings, expect, same, count, failure, fresh, pixel, seen, echo, main };
