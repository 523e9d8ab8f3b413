import { strict as assert } from "node:assert";
import { test } from "node:test";
import { toConnectionError } from "./connection_error.ts";

test("toConnectionError() distinguishes a name outside the CA's constraints from an unknown CA", () => {
  const server = new URL("https://api.example.com:6443");
  for (const text of ["permitted subtree violation", "excluded subtree violation"]) {
    const error = toConnectionError(Object.assign(new Error(text), { code: "UNSPECIFIED" }), server, "api.example.com");
    assert.equal(error.code, "tls_untrusted");
    assert.equal(
      error.message,
      'cannot trust "https://api.example.com:6443": its serving certificate has a name for which its CA may not issue',
    );
    assert.match(error.hint ?? "", /tlsboot inspect/);
  }
});

for (
  const [code, text] of [
    ["INVALID_PURPOSE", "unsuitable certificate purpose"],
    ["PATH_LENGTH_EXCEEDED", "path length constraint exceeded"],
    ["UNSPECIFIED", "unhandled critical extension"],
    ["", "invalid peer certificate: Other(OtherError(PathLenConstraintViolated))"],
  ] as const
) {
  test(`toConnectionError() reports a broken rule as untrusted, not as retryable: ${text}`, () => {
    const error = toConnectionError(
      Object.assign(new Error(text), { code }),
      new URL("https://a.example"),
      "a.example",
    );
    assert.deepEqual([error.code, error.retryable], ["tls_untrusted", false]);
    assert.equal(error.message, `cannot trust "https://a.example": its certificates break a rule: ${text}`);
  });
}
