import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { signingDurationSeconds } from "./signer_cas.ts";

for (
  const { ms, want, warns } of [
    { ms: 0, want: 365 * 86_400, warns: false },
    { ms: 3_600_000, want: 3_600, warns: false },
    { ms: 600_000, want: 600, warns: false },
    { ms: 60_000, want: 60, warns: true },
  ]
) {
  test(`signingDurationSeconds() of ${ms} ms is ${want} s${warns ? ", with a warning" : ""}`, () => {
    const logger = createMemoryLogger();
    assert.equal(signingDurationSeconds({ clusterSigningDuration: ms }, logger), want);
    assert.deepEqual(
      logger.messages("warn"),
      warns ? ["the signing duration is shorter than the minimum lifetime of a request"] : [],
    );
  });
}
