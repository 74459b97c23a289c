// Vercel's AI SDK with its OpenAI provider: openai() speaks Responses, .chat() chat
// completions.
const { settings, main } = require('./check.cjs');
const { checks, unknownKey, embeds } = require('./check_ai.cjs');
const { createOpenAI } = require('@ai-sdk/openai');

const app = createOpenAI({ baseURL: settings.base, apiKey: settings.key });
// Where no provider keeps responses there is nothing to refer to.
const options = settings.translated ? { openai: { store: false } } : undefined;
main({
  ...checks('responses', app(settings.model), { options }),
  ...checks('chat', app.chat(settings.model)),
  'unknown key': () => unknownKey(createOpenAI({ baseURL: settings.base, apiKey: 'pk-nobody-knows' }).chat(settings.model)),
  ...(settings.translated ? {} : { embeddings: () => embeds(app.embedding(settings.embedding)) }),
});
