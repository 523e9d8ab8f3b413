import assert from "node:assert/strict";
import { test } from "node:test";
import { describeShortenedLifetime } from "./request_certificate.ts";

const HOUR = 3_600;
const START = Date.UTC(2026, 0, 1);
const spanning = (seconds: number) => ({ notBefore: new Date(START), notAfter: new Date(START + seconds * 1_000) });

for (
  const { name, given, asked, want } of [
    {
      name: "a year of three",
      given: 8_760 * HOUR,
      asked: 26_280 * HOUR,
      want: /1y, not the requested 3y$/,
    },
    { name: "the whole of a long lifetime", given: 24 * HOUR, asked: 24 * HOUR, want: undefined },
    { name: "the whole of a short lifetime, backdated", given: HOUR + 300, asked: HOUR, want: undefined },
    { name: "no requested lifetime", given: HOUR, asked: undefined, want: undefined },
  ]
) {
  test(`describeShortenedLifetime() of ${name}`, () => {
    const said = describeShortenedLifetime(spanning(given), asked);
    if (want === undefined) assert.equal(said, undefined);
    else assert.match(said ?? "", want);
  });
}
