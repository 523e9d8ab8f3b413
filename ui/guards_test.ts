import assert from "node:assert/strict";
import { test } from "node:test";
import { findCookie, findRefusal, MAX_FORM_BYTES } from "./guards.ts";

const HOST = "127.0.0.1:8090";
const ORIGIN = `http://${HOST}`;
const FORM = { "content-type": "application/x-www-form-urlencoded", "content-length": "10" };
const NAVIGATION = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly want: number | undefined;
}

const post = (headers: Readonly<Record<string, string>>) => ({
  method: "POST",
  headers: { origin: ORIGIN, ...FORM, ...headers },
});

for (
  const { name, method = "GET", target = "/requests", headers = {}, want } of [
    { name: "a request by its address", want: undefined },
    { name: "a request by localhost", headers: { host: "localhost:8090" }, want: undefined },
    { name: "another name", headers: { host: "evil.example:8090" }, want: 421 },
    { name: "a name that begins with the address", headers: { host: "127.0.0.1.evil.example:8090" }, want: 421 },
    { name: "no port", headers: { host: "127.0.0.1" }, want: 421 },
    { name: "another port", headers: { host: "127.0.0.1:80" }, want: 421 },
    { name: "a number that means the address", headers: { host: "2130706433:8090" }, want: 421 },
    { name: "an empty host", headers: { host: "" }, want: 421 },
    { name: "a long target", target: `/requests?q=${"x".repeat(5_000)}`, want: 414 },
    { name: "PUT", method: "PUT", want: 405 },
    { name: "HEAD, for which a stream of events would have no reader", method: "HEAD", want: 405 },
    { name: "the preflight of another site", method: "OPTIONS", want: 405 },
    { name: "a link of another site", headers: { "sec-fetch-site": "cross-site", ...NAVIGATION }, want: undefined },
    { name: "an address that is typed", headers: { "sec-fetch-site": "none", ...NAVIGATION }, want: undefined },
    { name: "our own script", headers: { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" }, want: undefined },
    {
      name: "a frame in another site",
      headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
      want: 403,
    },
    {
      name: "a script of another port",
      headers: { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" },
      want: 403,
    },
    { name: "an event stream of another site", headers: { origin: "http://evil.example" }, want: 403 },
    { name: "a form of ours", ...post({ "sec-fetch-site": "same-origin" }), want: undefined },
    { name: "a form without fetch metadata", ...post({}), want: undefined },
    {
      name: "a form by localhost",
      ...post({ host: "localhost:8090", origin: "http://localhost:8090" }),
      want: undefined,
    },
    { name: "a form of another site", ...post({ origin: "http://evil.example" }), want: 403 },
    { name: "a form of another port", ...post({ origin: "http://127.0.0.1:9999" }), want: 403 },
    { name: "a form of a sandboxed frame", ...post({ origin: "null" }), want: 403 },
    { name: "a form by localhost for the address", ...post({ origin: "http://localhost:8090" }), want: 403 },
    { name: "a form over https", ...post({ origin: `https://${HOST}` }), want: 403 },
    { name: "a form without an origin", method: "POST", headers: FORM, want: 403 },
    { name: "a form of the same site", ...post({ "sec-fetch-site": "same-site" }), want: 403 },
    { name: "a form after a link", ...post({ "sec-fetch-site": "none" }), want: 403 },
    { name: "JSON", ...post({ "content-type": "application/json" }), want: 415 },
    { name: "a form as text", ...post({ "content-type": "text/plain" }), want: 415 },
    { name: "a form in chunks", ...post({ "transfer-encoding": "chunked" }), want: 411 },
    { name: "a form of unknown length", ...post({ "content-length": "" }), want: 411 },
    { name: "a large form", ...post({ "content-length": String(MAX_FORM_BYTES + 1) }), want: 413 },
  ] satisfies Case[] as Case[]
) {
  test(`findRefusal() answers ${want ?? "nothing"} for ${name}`, () => {
    const all: Readonly<Record<string, string>> = { host: HOST, ...headers };
    assert.equal(findRefusal({ method, target, header: (key) => all[key] }, 8090)?.status, want);
  });
}

test("findCookie() finds the cookie of a name among others", () => {
  const header = "a=1; tlsboot-80=x; tlsboot-8090=abc=; tlsboot-8090x=y";
  assert.equal(findCookie(header, "tlsboot-8090"), "abc=");
  for (const [text, name] of [[header, "tlsboot"], [undefined, "a"], ["", "a"], ["a", "a"]] as const) {
    assert.equal(findCookie(text, name), undefined);
  }
});
