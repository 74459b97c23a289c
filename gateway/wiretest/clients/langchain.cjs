// LangChain's OpenAI integration.
const { settings, expect, same, count, failure, fresh, pixel, seen, echo, main } = require('./check.cjs');
const { ChatOpenAI, OpenAIEmbeddings } = require('@langchain/openai');
const { HumanMessage, ToolMessage } = require('@langchain/core/messages');
const { tool } = require('@langchain/core/tools');
const { z } = require('zod');

const chat = (more = {}, apiKey = settings.key) => new ChatOpenAI({ model: settings.model, apiKey, configuration: { baseURL: settings.base }, ...more });
const app = chat();
const weather = tool(async ({ city }) => `12 in ${city}`, { name: 'weather', description: 'The weather of a city.', schema: z.object({ city: z.string() }) });
const claim = z.object({ city: z.string(), days: z.number().int(), paid: z.boolean() });
const filled = { city: 'Zürich', days: 14, paid: true };

const checks = {
  async 'chat'() {
    const r = await app.invoke('Hello');
    same([r.content, r.response_metadata.finish_reason], [echo('Hello'), 'stop']);
    expect(r.usage_metadata.input_tokens > 0 && r.usage_metadata.output_tokens > 0, r.usage_metadata);
  },
  async 'streamed'() {
    let whole, pieces = 0;
    for await (const c of await app.stream('Hello')) { whole = whole ? whole.concat(c) : c; pieces++; }
    same(whole.content, echo('Hello'));
    expect(pieces > 3 && whole.usage_metadata.output_tokens > 0, whole.usage_metadata);
  },
  async 'tools'() {
    const bound = app.bindTools([weather]);
    const messages = [new HumanMessage('wire:parallel please')];
    const first = await bound.invoke(messages);
    same(first.tool_calls.map((c) => c.args.city), ['Zürich1', 'Zürich2']);
    messages.push(first);
    for (const c of first.tool_calls) messages.push(new ToolMessage({ tool_call_id: c.id, content: await weather.invoke(c.args) }));
    same((await bound.invoke(messages)).content, 'The tool says: 12 in Zürich1 | 12 in Zürich2');
  },
  async 'tools streamed'() {
    let whole;
    for await (const c of await app.bindTools([weather]).stream('wire:tool please')) whole = whole ? whole.concat(c) : c;
    same(whole.tool_calls.map((c) => [c.name, c.args.city]), [['weather', 'Zürich']]);
  },
  async 'structured by schema'() {
    same(await app.withStructuredOutput(claim, { name: 'claim', method: 'jsonSchema' }).invoke('A claim.'), filled);
  },
  async 'structured by a tool'() {
    same(await app.withStructuredOutput(claim, { name: 'claim', method: 'functionCalling' }).invoke('A claim.'), filled);
  },
  async 'structured streamed'() {
    let last;
    for await (const p of await app.withStructuredOutput(claim, { name: 'claim', method: 'jsonSchema' }).stream('A claim.')) last = p;
    same(last, filled);
  },
  async 'image'() {
    const r = await app.invoke([new HumanMessage({ content: [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } }] })]);
    same(r.content, seen);
  },
  async 'responses'() {
    const r = await chat({ useResponsesApi: true }).invoke('Hello');
    same(r.text, echo('Hello'));
  },
  async 'responses streamed'() {
    let text = '';
    for await (const c of await chat({ useResponsesApi: true }).stream('Hello')) text += c.text;
    same(text, echo('Hello'));
  },
  async 'error 400'() {
    const [n, e] = await count(() => failure(() => app.invoke('wire:status-400')));
    expect(n === 1 && e.status === 400, `${n} ${e}`);
  },
  async 'unknown key'() {
    const [n, e] = await count(() => failure(() => chat({}, 'pk-nobody-knows').invoke('Hello')));
    expect(n === 1 && e.status === 401 && !e.message.includes('pk-nobody'), `${n} ${e}`);
  },
  async 'limit that stays'() {
    const [n, e] = await count(() => failure(() => chat({ maxRetries: 1 }).invoke('wire:status-429')));
    expect(n === 2 && e.status === 429, `${n} ${e}`);
  },
  async 'limit that passes'() {
    same((await app.invoke(fresh('once-429'))).response_metadata.finish_reason, 'stop');
  },
  async 'server error that passes'() {
    same((await app.invoke(fresh('once-503'))).response_metadata.finish_reason, 'stop');
  },
  ...(settings.translated ? {} : {
    async 'embeddings'() {
      const e = new OpenAIEmbeddings({ model: settings.embedding, apiKey: settings.key, configuration: { baseURL: settings.base } });
      same((await e.embedDocuments(['one', 'two'])).map((v) => v.length), [8, 8]);
    },
  }),
};

main(checks);
