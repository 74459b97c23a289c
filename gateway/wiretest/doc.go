// Package wiretest has upstreams for tests: one server that answers as OpenAI,
// Anthropic, Google and AWS Bedrock do, in the shapes that their APIs and their official clients
// agree on, streamed and not. Nothing in the product imports it.
//
// An answer depends on the request alone, so a test knows it beforehand:
//
//   - tool results at the end of the conversation are quoted: "The tool says: …";
//   - a tool is called when the request forces one, or by the words wire:tool,
//     wire:parallel (twice) and wire:call-NAME;
//   - where an answer must follow a JSON schema it does, with values made from it;
//   - images are told by type and size: "I see image/png of 70 bytes.";
//   - otherwise the last words of the user come back: "You said: …".
//
// Words beginning with wire: ask for something else, wherever in the path or body
// they stand (so a model's name can carry them). Several may stand together:
//
//	wire:status-N            that error, in the vendor's shape; 429 with retry-after: 1
//	wire:once-N-ID           that error the first time that ID is seen, then an answer
//	wire:final-N-ID          the same with x-should-retry: false
//	wire:reasoning           with what the model thought, signed or encrypted where the vendor does
//	wire:refusal             the model declines
//	wire:length              the answer is cut by its limit
//	wire:cached              half of the prompt was read from the cache
//	wire:broken              a stream ends in the vendor's error event, in its middle
//
// What must come back byte for byte is checked: a signature or an encrypted
// content that is not as it was given out is refused as the vendor refuses it, and
// so are tool results without their call.
package wiretest
