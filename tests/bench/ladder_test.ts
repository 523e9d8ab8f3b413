import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLadder, LADDER_HEAD, LAYERS } from "./ladder.ts";

test("formatLadder() shows all rounds of each layer, and what it adds to the median of the layer below", () => {
  const createCost = (main: number) => ({
    requests: 1000,
    shares: { main, pool: 0.01, v8: 0.04, others: -0.01, clients: 0.3, rest: 0.1 },
  });
  const rounds = LAYERS.map((_, index) => [0.5, 0.1, 0.2].map((noise) => createCost(0.1 * index + noise)));
  const rows = formatLadder(rounds);
  assert.ok(rows.every((row) => row.length === LADDER_HEAD.length));
  const [first = [], second = []] = rows;
  assert.deepEqual(first.slice(2), ["240", "240", "540, 140, 240", "267", "10", "40", "0", "300", "100"]);
  assert.deepEqual(second.slice(2, 5), ["100", "340", "640, 240, 340"]);
});
