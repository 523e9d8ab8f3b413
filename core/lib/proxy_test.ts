import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { findProxy, parseProxyUrl } from "./proxy.ts";

const PROXY = "http://proxy.example:3128";

// The table of Go's proxy_test.go, for https. tests/interop/client/proxy_go_test.ts compares generated cases with Go.
for (
  const [env, server, want] of [
    [{}, "https://api.example:6443", undefined],
    [{ HTTPS_PROXY: PROXY }, "https://api.example:6443", PROXY],
    [{ https_proxy: PROXY }, "https://api.example:6443", PROXY],
    [{ HTTPS_PROXY: PROXY, https_proxy: "http://other" }, "https://api.example", PROXY],
    [{ HTTPS_PROXY: "", https_proxy: PROXY }, "https://api.example", PROXY],
    [{ HTTP_PROXY: PROXY, ALL_PROXY: PROXY }, "https://api.example", undefined],
    [{ HTTPS_PROXY: "proxy.example:3128" }, "https://api.example", PROXY],
    [{ HTTPS_PROXY: "10.0.0.1:3128" }, "https://api.example", "http://10.0.0.1:3128"],
    [{ HTTPS_PROXY: "proxy.example" }, "https://api.example", "http://proxy.example"],
    [{ HTTPS_PROXY: "https://proxy.example" }, "https://api.example", "https://proxy.example"],
    [{ HTTPS_PROXY: PROXY }, "https://localhost:6443", undefined],
    [{ HTTPS_PROXY: PROXY }, "https://127.0.0.1:6443", undefined],
    [{ HTTPS_PROXY: PROXY }, "https://127.9.8.7", undefined],
    [{ HTTPS_PROXY: PROXY }, "https://[::1]:6443", undefined],
    [{ HTTPS_PROXY: PROXY }, "https://[::ffff:127.0.0.1]", undefined],
    [{ HTTPS_PROXY: PROXY }, "https://10.1.2.3", PROXY],
  ] as const
) {
  test(`findProxy() with ${JSON.stringify(env)} for ${server} is ${want}`, () => {
    const proxy = findProxy(new URL(server), env);
    assert.ok(proxy.ok);
    assert.equal(proxy.value?.origin, want);
  });
}

for (
  const [noProxy, server, isProxied] of [
    ["*", "https://api.example", false],
    ["a, *", "https://10.1.2.3", false],
    ["example", "https://example", false],
    ["example", "https://api.example", false],
    ["EXAMPLE", "https://api.example", false],
    ["ample", "https://api.example", true],
    [".example", "https://api.example", false],
    [".example", "https://example", true],
    ["*.example", "https://api.example", false],
    ["*.example", "https://example", true],
    ["example:6443", "https://api.example:6443", false],
    ["example:6443", "https://api.example:443", true],
    ["example:443", "https://api.example", false],
    ["example:", "https://api.example", false],
    ["*.example:443", "https://api.example", false],
    ["*:443", "https://api.example", true],
    [":443", "https://api.example", true],
    [" b.example , api.example ", "https://api.example", false],
    [",,", "https://api.example", true],
    ["10.1.2.3", "https://10.1.2.3", false],
    ["10.1.2.3:443", "https://10.1.2.3", false],
    ["10.1.2.3:444", "https://10.1.2.3", true],
    ["10.1.2", "https://10.1.2.3", true],
    ["::ffff:10.1.2.3", "https://10.1.2.3", false],
    ["10.0.0.0/8", "https://10.1.2.3", false],
    ["10.9.9.9/8", "https://10.1.2.3", false],
    ["10.0.0.0/16", "https://10.1.2.3", true],
    ["10.0.0.0/33", "https://10.1.2.3", true],
    ["0.0.0.0/0", "https://10.1.2.3", false],
    ["0.0.0.0/0", "https://api.example", true],
    ["fd00::/8", "https://[fd12::1]:6443", false],
    ["fd12::1", "https://[fd12::1]:6443", false],
    ["[fd12::1]:6443", "https://[fd12::1]:6443", false],
    ["[fd12::1]:443", "https://[fd12::1]:6443", true],
    ["[fd12::1]", "https://[fd12::1]:6443", true],
    ["fd00::/8", "https://10.1.2.3", true],
    ["bücher.example", "https://api.bücher.example", false],
  ] as const
) {
  test(`NO_PROXY "${noProxy}" ${isProxied ? "does not cover" : "covers"} ${server}`, () => {
    for (const name of ["NO_PROXY", "no_proxy"]) {
      const proxy = findProxy(new URL(server), { HTTPS_PROXY: PROXY, [name]: noProxy });
      assert.ok(proxy.ok);
      assert.equal(proxy.value !== undefined, isProxied);
    }
  });
}

test("parseProxyUrl() decodes user name and password for Basic authentication, and shows neither", () => {
  const proxy = parseProxyUrl("https://anna:s%40cret@proxy.example");
  assert.ok(proxy.ok);
  const { origin, isTls, host, port, authorization } = proxy.value;
  assert.deepEqual({ origin, isTls, host, port }, {
    origin: "https://proxy.example",
    isTls: true,
    host: "proxy.example",
    port: 443,
  });
  assert.equal(authorization?.reveal(), `Basic ${btoa("anna:s@cret")}`);
  assert.doesNotMatch(inspect(proxy) + JSON.stringify(proxy), /anna|cret/);
});

for (
  const [text, want] of [
    ["http://anna:s3cret@", /not a URL/],
    ["s3cret", /not a URL/],
    ["socks5://anna:s3cret@proxy", /scheme is "socks5"/],
    ["http://anna:12/s3cret@proxy", /"@" after the host/],
    ["http://anna:12?s3cret@proxy", /"@" after the host/],
    ["http://anna:s3cret%zz@proxy", /hexadecimal/],
  ] as const
) {
  test(`parseProxyUrl() refuses ${text} without quoting it`, () => {
    const proxy = parseProxyUrl(text);
    assert.ok(!proxy.ok);
    assert.match(proxy.error, want);
    assert.doesNotMatch(proxy.error, /s3cret/);
  });
}
