import assert from "node:assert/strict";
import { test } from "node:test";
import { IssuedCertificates, type KnownCertificate } from "../../server/metrics/issued_certificates.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { findObeyed } from "../../tests/support/hostile_text.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { openIssuedFile } from "./issued_file.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const PATH = "/data/issued-certificates.jsonl";

function setUp(texts: Record<string, string> = {}) {
  const clock = createFakeClock();
  const start = clock.now().getTime() / 1000;
  const logger = createMemoryLogger();
  let writes = 0;
  const state = { isFull: false };
  const files = {
    readText: (path: string) => Promise.resolve(texts[path]),
    writeAtomic(path: string, text: string, mode: number) {
      assert.equal(mode, 0o600);
      if (state.isFull) return Promise.reject(new Error("no space left on device"));
      writes += 1;
      texts[path] = text;
      return Promise.resolve();
    },
  };
  const open = async (isShared = false) => {
    const issued = new IssuedCertificates();
    return { issued, file: await openIssuedFile({ path: PATH, issued, isShared }, { files, clock, logger }) };
  };
  const one = (subject: string, days: number): KnownCertificate => ({
    ...{ signerName: "kubernetes.io/kubelet-serving", subject },
    ...{ since: start, until: start + days * 86_400 },
  });
  return { clock, logger, texts, state, open, one, writes: () => writes };
}

test("openIssuedFile() gives a later run the certificates of an earlier one", async () => {
  const { open, one, texts } = setUp();
  const names = ["CN=a", "CN=ä \u202e\n\"'", ...Array.from({ length: 1_500 }, (_, number) => `CN=n${number}`)];
  const before = await open();
  for (const name of names) before.issued.restore(one(name, 100));
  await before.file[Symbol.asyncDispose]();
  assert.equal(findObeyed(texts[PATH]?.replaceAll("\n", "") ?? "", false), undefined);
  const { issued } = await open();
  assert.deepEqual([...issued.entries()], names.map((name) => one(name, 100)));
});

test("openIssuedFile() writes each half hour, and only when there are new certificates", async () => {
  const { open, one, writes, clock } = setUp();
  const { issued, file } = await open();
  await file.update();
  assert.equal(writes(), 0, "nothing was issued");
  issued.restore(one("CN=a", 100));
  clock.jump(29 * 60_000);
  await file.update();
  assert.equal(writes(), 0);
  clock.jump(60_000);
  await file.update();
  assert.equal(writes(), 1);
  clock.jump(HOUR_MS);
  await file.update();
  await file[Symbol.asyncDispose]();
  assert.equal(writes(), 1);
});

test("openIssuedFile() continues when the file cannot be written, and writes it later", async () => {
  const { open, one, writes, clock, state, logger } = setUp();
  const { issued, file } = await open();
  issued.restore(one("CN=a", 100));
  state.isFull = true;
  await file.update();
  assert.deepEqual(logger.messages("warn"), ["cannot store the issued certificates"]);
  state.isFull = false;
  clock.jump(HOUR_MS);
  await file.update();
  assert.equal(writes(), 1);
});

test("openIssuedFile() ignores an old file when others share the store", async () => {
  for (const [isShared, hours, want] of [[false, 20, 1], [true, 0.9, 1], [true, 1.1, 0]] as const) {
    const { open, one, clock } = setUp();
    const before = await open(isShared);
    before.issued.restore(one("CN=a", 100));
    await before.file[Symbol.asyncDispose]();
    clock.jump(hours * HOUR_MS);
    assert.equal((await open(isShared)).issued.size, want, `${isShared} ${hours}`);
  }
});

test("openIssuedFile() writes the file each half hour when others share the store, even without changes", async () => {
  const { open, one, clock } = setUp();
  const { issued, file } = await open(true);
  issued.restore(one("CN=a", 100));
  for (let halfHours = 0; halfHours < 100; halfHours++) {
    await file.update();
    clock.jump(HOUR_MS / 2);
  }
  await file[Symbol.asyncDispose]();
  assert.equal((await open(true)).issued.size, 1);
});

test("openIssuedFile() catches up with a killed run before it logs certificates that are not renewed", async () => {
  const { open, one, clock, logger } = setUp();
  const { issued, file } = await open();
  issued.restore(one("CN=a", 100));
  clock.jump(95 * DAY_MS);
  issued.catchUp = () => {
    const since = clock.now().getTime() / 1000;
    issued.restore({ ...one("CN=a", 100), since, until: since + 100 * 86_400 });
    return Promise.resolve();
  };
  await file.update();
  assert.deepEqual(logger.messages(), []);
  issued.catchUp = () => Promise.reject(new Error("the store does not answer"));
  clock.jump(95 * DAY_MS);
  await file.update();
  assert.deepEqual(logger.messages(), ["a certificate is not renewed"]);
});

for (
  const { name, text, size } of [
    { name: "is empty", text: "", size: 0 },
    { name: "is not JSON", text: "CN=a", size: 0 },
    { name: "another build wrote", text: '{"format":2,"writtenAt":1}\n', size: 0 },
    { name: "has a line of something else", text: '{"format":1,"writtenAt":1}\n["s","CN=a",1,2]\n7\n', size: 1 },
    { name: "has a line without times", text: '{"format":1,"writtenAt":1}\n["s","CN=a"]\n', size: 0 },
    { name: "ends too early", text: '{"format":1,"writtenAt":1}\n["s","CN=a",1', size: 0 },
  ]
) {
  test(`openIssuedFile() logs a file that ${name}, replaces it, and the instance starts`, async () => {
    const { open, logger } = setUp({ [PATH]: text });
    const { issued, file } = await open();
    assert.equal(issued.size, size);
    assert.deepEqual(logger.messages("warn"), ["cannot read the earlier issued certificates"]);
    await file[Symbol.asyncDispose]();
    await open();
    assert.equal(logger.messages("warn").length, 1);
  });
}

test("openIssuedFile() logs each certificate that is not renewed once, and at most twenty at a time", async () => {
  const { open, one, clock, logger } = setUp();
  const { issued, file } = await open();
  issued.restore(one("CN=first", 100));
  for (let number = 0; number < 25; number += 1) issued.restore(one(`CN=n${number}`, 200));
  clock.jump(89 * DAY_MS);
  await file.update();
  assert.deepEqual(logger.messages(), []);
  clock.jump(2 * DAY_MS);
  await file.update();
  clock.jump(HOUR_MS);
  await file.update();
  assert.deepEqual(logger.entries.map(({ level, fields }) => [level, fields["subject"], fields["signerName"]]), [
    ["warn", "CN=first", "kubernetes.io/kubelet-serving"],
  ]);
  clock.jump(100 * DAY_MS);
  await file.update();
  assert.equal(logger.messages("warn").filter((message) => message === "a certificate is not renewed").length, 21);
  assert.equal(logger.entries.at(-1)?.fields["more"], 5);
});

test("openIssuedFile() warns only of kubelets, because other certificates may not need a renewal", async () => {
  const { open, one, clock, logger } = setUp();
  const { issued, file } = await open();
  issued.restore({ ...one("CN=jane", 100), signerName: "kubernetes.io/kube-apiserver-client" });
  issued.restore({ ...one("CN=node", 101), signerName: "kubernetes.io/kube-apiserver-client-kubelet" });
  clock.jump(92 * DAY_MS);
  await file.update();
  assert.deepEqual(logger.entries.map(({ level, fields }) => [level, fields["subject"]]), [
    ["info", "CN=jane"],
    ["warn", "CN=node"],
  ]);
});
