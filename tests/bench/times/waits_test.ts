/** No request makes other clients wait long for an answer. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { BOMBS, HEADS, REPETITIONS, sendBody, withOthersAnswered } from "../../support/hostile_requests.ts";
import { createReader, describeTestedInstance } from "../../support/privilege/tested_instance.ts";
import { sendRaw } from "../../support/raw_http.ts";
import { parseCpuSeconds } from "../processes.ts";

/** The longest time for which a client's request may delay all others. */
const LONGEST_WAIT_MS = 500;

/** Reads the processor time of the server's first thread in milliseconds. Linux counts in steps of ten. */
async function readEventLoopMs(pid: number): Promise<number> {
  return 1_000 * parseCpuSeconds(await readFile(`/proc/${pid}/task/${pid}/stat`, "utf8"));
}

describeTestedInstance("hostile requests", [], (instance) => {
  before(() => createReader(instance));

  /** Only the time in which the server's event loop computes counts, not the time in which the machine ran others. */
  async function assertShortWaits(send: () => Promise<unknown>): Promise<void> {
    let longestMs = 0;
    await withOthersAnswered(instance, send, async (ask) => {
      const [startedAt, computedBefore] = [performance.now(), await readEventLoopMs(instance.pid)];
      await ask();
      const computedMs = await readEventLoopMs(instance.pid) - computedBefore;
      longestMs = Math.max(longestMs, Math.min(performance.now() - startedAt, computedMs));
    });
    assert.ok(longestMs < LONGEST_WAIT_MS, `another client waited ${longestMs.toFixed(0)} ms for /livez`);
  }

  for (const [fieldValidation, bombs] of [["Ignore", BOMBS], ["Strict", REPETITIONS]] as const) {
    for (const { name, contentType, body } of bombs) {
      test(`${name}: no other client waits long`, async () => {
        const sent = body();
        await assertShortWaits(() => sendBody(instance, fieldValidation, sent, contentType));
      });
    }
  }

  for (const [what, bytes] of HEADS) {
    test(`${what}: no other client waits long`, () => assertShortWaits(() => sendRaw(instance.server.port, bytes)));
  }
});
