import assert from "node:assert/strict";
import { test } from "node:test";
import { describeShortenedLifetime } from "./request_certificate.ts";

const HOUR = 3_600;
const START = Date.UTC(2026, 0, 1);
const spanning = (seconds: number) => ({ notBefore: new Date(START), notAfter: new Date(START + seconds * 1_000) });

for (
  const { name, given, asked, want } of [
    {
      name: "one year instead of three",
      given: 8_760 * HOUR,
      asked: 26_280 * HOUR,
      want: /1y, not the requested 3y$/,
    },
    { name: "a long lifetime, granted in full", given: 24 * HOUR, asked: 24 * HOUR, want: undefined },
    { name: "a short lifetime, granted in full and backdated", given: HOUR + 300, asked: HOUR, want: undefined },
    { name: "any lifetime if none was requested", given: HOUR, asked: undefined, want: undefined },
  ]
) {
  test(`describeShortenedLifetime() ${want === undefined ? "accepts" : "describes"} ${name}`, () => {
    const text = describeShortenedLifetime(spanning(given), asked);
    if (want === undefined) assert.equal(text, undefined);
    else assert.match(text ?? "", want);
  });
}
