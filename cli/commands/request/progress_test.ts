import assert from "node:assert/strict";
import { test } from "node:test";
import { describeCutLife } from "./progress.ts";

const HOUR = 3_600;
const START = Date.UTC(2026, 0, 1);
const spanning = (seconds: number) => ({ notBefore: new Date(START), notAfter: new Date(START + seconds * 1_000) });

for (
  const { name, given, asked, want } of [
    { name: "a year of three", given: 8_760 * HOUR, asked: 26_280 * HOUR, want: /8760h0m0s, not the 26280h0m0s that/ },
    { name: "all of a long life", given: 24 * HOUR, asked: 24 * HOUR, want: undefined },
    { name: "all of a short life, backdated", given: HOUR + 300, asked: HOUR, want: undefined },
    { name: "what the signer likes", given: HOUR, asked: undefined, want: undefined },
  ]
) {
  test(`describeCutLife() of ${name}`, () => {
    const said = describeCutLife(spanning(given), asked);
    if (want === undefined) assert.equal(said, undefined);
    else assert.match(said ?? "", want);
  });
}
