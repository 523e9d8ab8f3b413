import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServingNames } from "../core/bootstrap/node_addresses.ts";
import { parseNodeName } from "../core/bootstrap/node_name.ts";
import { servingTemplate } from "../core/bootstrap/kubelet_templates.ts";
import { createFakeClock, type FakeClock } from "../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { followServingAddresses } from "./serving_addresses.ts";
import { createTemplateHolder, type TemplateHolder } from "./template_source.ts";

const NAME = parseNodeName("n1");
assert.ok(NAME.ok);
const nodeName = NAME.value;
const SECOND = 1_000;

function names(...ipAddresses: string[]): ServingNames {
  return { dnsNames: ["n1"], ipAddresses };
}

interface Following extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly template: TemplateHolder;
  set(names: ServingNames): void;
}

function follow(initial: ServingNames): Following {
  const clock = createFakeClock();
  const template = createTemplateHolder(servingTemplate(nodeName, initial));
  const abort = new AbortController();
  let now = initial;
  const readNames = () => Promise.resolve(now);
  const logger = createMemoryLogger();
  const ended = followServingAddresses({ nodeName, readNames, template, clock, logger }, abort.signal).catch(() => {});
  return {
    clock,
    template,
    set: (next) => void (now = next),
    async [Symbol.asyncDispose]() {
      abort.abort();
      await ended;
    },
  };
}

test("followServingAddresses() uses another address when it has lasted", async () => {
  await using f = follow(names("10.0.0.1"));
  await f.clock.advance(60 * SECOND);
  const change = f.template.changed();
  f.set(names("10.0.0.2"));
  await f.clock.advance(30 * SECOND);
  assert.equal(change.aborted, false);
  await f.clock.advance(20 * SECOND);
  assert.equal(change.aborted, true);
  assert.deepEqual(f.template.current()?.ipAddresses, ["10.0.0.2"]);
});

test("followServingAddresses() ignores a short-lived address and a network outage", async () => {
  await using f = follow(names("10.0.0.1"));
  const change = f.template.changed();
  for (const seen of [names("10.0.0.2"), names("10.0.0.1"), names(), names("10.0.0.2"), names("10.0.0.1")]) {
    f.set(seen);
    await f.clock.advance(20 * SECOND);
  }
  f.set(names());
  await f.clock.advance(3600 * SECOND);
  assert.equal(change.aborted, false);
});

test("followServingAddresses() uses the first address at once", async () => {
  await using f = follow(names());
  await f.clock.advance(60 * SECOND);
  assert.equal(f.template.current(), undefined);
  f.set(names("10.0.0.1"));
  await f.clock.advance(10 * SECOND);
  assert.deepEqual(f.template.current()?.ipAddresses, ["10.0.0.1"]);
});
