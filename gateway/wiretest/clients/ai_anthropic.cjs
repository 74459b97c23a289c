// Vercel's AI SDK with its Anthropic provider.
const { settings, main } = require('./check.cjs');
const { checks, unknownKey } = require('./check_ai.cjs');
const { createAnthropic } = require('@ai-sdk/anthropic');

const app = createAnthropic({ baseURL: settings.base, apiKey: settings.key });
main({
  ...checks('messages', app(settings.model)),
  'unknown key': () => unknownKey(createAnthropic({ baseURL: settings.base, apiKey: 'pk-nobody-knows' })(settings.model)),
});
