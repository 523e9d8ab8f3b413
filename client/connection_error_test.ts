import { strict as assert } from "node:assert";
import { test } from "node:test";
import { connectionError } from "./connection_error.ts";

test("connectionError() tells a name outside of the CA's constraints from an unknown CA", () => {
  const server = new URL("https://api.example.com:6443");
  for (const text of ["permitted subtree violation", "excluded subtree violation"]) {
    const error = connectionError(Object.assign(new Error(text), { code: "UNSPECIFIED" }), server, "api.example.com");
    assert.equal(error.code, "tls_untrusted");
    assert.equal(
      error.message,
      'cannot trust "https://api.example.com:6443": its serving certificate has a name for which its CA may not issue',
    );
    assert.match(error.hint ?? "", /tlsboot inspect/);
  }
});
