// What every provider of the AI SDK is asked, through the SDK's own functions.
const { expect, same, count, failure, fresh, pixel, seen, echo, settings } = require('./check.cjs');
const { generateText, streamText, embedMany, tool, stepCountIs, isStepCount, Output, APICallError, RetryError, jsonSchema } = require('ai');

const steps = (stepCountIs ?? isStepCount)(3);
const tools = () => {
  const asked = [];
  return { asked, weather: tool({ description: 'The weather of a city.', inputSchema: jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }), execute: async ({ city }) => { asked.push(city); return `12 in ${city}`; } }) };
};
const claim = jsonSchema({ type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' }, paid: { type: 'boolean' } }, required: ['city', 'days', 'paid'], additionalProperties: false });
const filled = { city: 'Zürich', days: 14, paid: true };
const request = (r) => r.response?.headers?.['x-request-id'] ?? r.response?.headers?.['request-id'] ?? [];

// The error of the last try, however the SDK wraps it.
const cause = (e) => (RetryError.isInstance(e) ? e.lastError : e);

function checks(label, model, more = {}) {
  const all = {
    async 'text'() {
      const r = await generateText({ model, system: undefined, instructions: undefined, prompt: 'Hello' });
      same([r.text, r.finishReason], [echo('Hello'), 'stop']);
      expect(r.usage.inputTokens > 0 && r.usage.outputTokens > 0, r.usage);
      return request(r);
    },
    async 'streamed'() {
      const r = streamText({ model, prompt: 'Hello' });
      let text = '', pieces = 0;
      for await (const p of r.textStream) { text += p; pieces++; }
      same([text, await r.finishReason], [echo('Hello'), 'stop']);
      expect(pieces > 3, `${pieces} pieces`);
      const usage = await r.usage;
      if (more.usage !== false) expect(usage.inputTokens > 0 && usage.outputTokens > 0, usage);
    },
    async 'tools'() {
      const t = tools();
      const r = await generateText({ model, prompt: 'wire:parallel please', tools: { weather: t.weather }, stopWhen: steps, providerOptions: more.options });
      same([r.text, t.asked, r.steps.length], ['The tool says: 12 in Zürich1 | 12 in Zürich2', ['Zürich1', 'Zürich2'], 2]);
    },
    async 'tools streamed'() {
      const t = tools();
      const r = streamText({ model, prompt: 'wire:tool please', tools: { weather: t.weather }, stopWhen: steps, providerOptions: more.options });
      let text = '';
      for await (const p of r.textStream) text += p;
      same([text, t.asked], ['The tool says: 12 in Zürich', ['Zürich']]);
    },
    async 'structured'() {
      const r = await generateText({ model, prompt: 'A claim.', output: Output.object({ schema: claim }) });
      same(r.output, filled);
    },
    async 'structured streamed'() {
      const r = streamText({ model, prompt: 'A claim.', output: Output.object({ schema: claim }) });
      let last;
      for await (const p of r.partialOutputStream) last = p;
      same(last, filled);
    },
    async 'image'() {
      const r = await generateText({ model, messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'file', data: Buffer.from(pixel, 'base64'), mediaType: 'image/png' }] }] });
      same(r.text, seen);
    },
    async 'length'() {
      same((await generateText({ model, prompt: 'wire:length please', maxOutputTokens: 16 })).finishReason, 'length');
    },
    async 'broken stream'() {
      const e = await failure(async () => {
        const r = streamText({ model, prompt: 'wire:broken and long enough', onError: () => {} });
        for await (const p of r.fullStream) if (p.type === 'error') throw p.error;
      });
      expect(e.message !== 'did not fail', String(e));
    },
    async 'error 400'() {
      const e = await failure(() => generateText({ model, prompt: 'wire:status-400' }));
      expect(APICallError.isInstance(e) && e.statusCode === 400 && e.isRetryable === false && e.message.length > 5, String(e));
    },
    async 'limit that stays'() {
      const [n, e] = await count(() => failure(() => generateText({ model, prompt: 'wire:status-429', maxRetries: 1 })));
      expect(n === 2 && cause(e).statusCode === 429, `${n} ${e}`);
    },
    async 'limit that passes'() {
      same((await generateText({ model, prompt: fresh('once-429') })).finishReason, 'stop');
    },
    async 'server error that passes'() {
      same((await generateText({ model, prompt: fresh('once-503') })).finishReason, 'stop');
    },
  };
  for (const name of more.without ?? []) delete all[name];
  return Object.fromEntries(Object.entries(all).map(([name, run]) => [`${label} ${name}`, run]));
}

async function unknownKey(model) {
  const e = await failure(() => generateText({ model, prompt: 'Hello' }));
  expect(APICallError.isInstance(e) && e.statusCode === 401 && !e.message.includes('pk-nobody'), String(e));
}

async function embeds(model) {
  const r = await embedMany({ model, values: ['one', 'two'] });
  same(r.embeddings.map((e) => e.length), [8, 8]);
  expect(r.usage.tokens > 0, r.usage);
}

module.exports = { checks, unknownKey, embeds };
