import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBearerToken } from "./bearer_token.ts";

const warning = "the provided Authorization header contains extra space before the bearer token, and is ignored";

for (
  const { header, want } of [
    { header: undefined, want: { token: undefined } },
    { header: "", want: { token: undefined } },
    { header: "Bearer", want: { token: undefined } },
    { header: "Bearer ", want: { token: undefined } },
    { header: "Bearer tok", want: { token: "tok" } },
    { header: "  bearer tok  ", want: { token: "tok" } },
    { header: "BEARER tok", want: { token: "tok" } },
    { header: "Bearer tok rest of it", want: { token: "tok" } },
    { header: "Bearer  tok", want: { token: undefined, warning } },
    { header: "Basic dTpw", want: { token: undefined } },
    { header: "tok", want: { token: undefined } },
  ]
) {
  test(`parseBearerToken() reads ${JSON.stringify(header)}`, () => assert.deepEqual(parseBearerToken(header), want));
}
