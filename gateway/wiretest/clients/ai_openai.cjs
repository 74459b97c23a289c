// Vercel's AI SDK with its OpenAI provider: openai() speaks Responses, .chat() chat
// completions.
const { settings, main } = require('./check.cjs');
const { checks, unknownKey, embeds } = require('./check_ai.cjs');
const { createOpenAI } = require('@ai-sdk/openai');

const app = createOpenAI({ baseURL: settings.base, apiKey: settings.key });
main({
  ...checks('responses', app(settings.model)),
  ...checks('chat', app.chat(settings.model)),
  'unknown key': () => unknownKey(createOpenAI({ baseURL: settings.base, apiKey: 'pk-nobody-knows' }).chat(settings.model)),
  ...(settings.translated ? {} : { embeddings: () => embeds(app.embedding(settings.embedding)) }),
});
