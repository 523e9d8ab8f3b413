import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { createFakeClock, until } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createFileProfileSource, type FileProfileOptions, followProfiles } from "./profile_provider.ts";

const profile = (name: string, max: string) =>
  `apiVersion: tlsboot/v1alpha1\nkind: SigningProfile\n${name === "" ? "" : `signerName: ${name}\n`}` +
  `usages: { allowed: [server auth] }\nlifetime: { max: ${max} }\n`;

function createOptions(disk: { text: string | undefined }, signerName?: string) {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const read = () => {
    return disk.text === undefined ? Promise.reject(new Error("no such file")) : Promise.resolve(disk.text);
  };
  return { file: "web.yaml", read, signerName, clock, logger } satisfies FileProfileOptions;
}

for (
  const { name, text, signerName, want } of [
    { name: "the file's", text: profile("example.com/a", "1h"), signerName: undefined, want: "example.com/a" },
    { name: "the given one", text: profile("", "1h"), signerName: "example.com/b", want: "example.com/b" },
    { name: "both", text: profile("example.com/a", "1h"), signerName: "example.com/a", want: "example.com/a" },
  ]
) {
  test(`createFileProfileSource() takes a signer name: ${name}`, async () => {
    const source = await createFileProfileSource(createOptions({ text }, signerName));
    assert.equal(source.signerName, want);
    assert.equal((await source.current()).signerName, want);
  });
}

for (
  const { name, text, signerName, isForPods = false, want } of [
    {
      name: "no signer name",
      text: profile("", "1h"),
      signerName: undefined,
      want: 'cannot use profile "web.yaml": signerName: missing; set it here or with the setting signer',
    },
    {
      name: "another signer name",
      text: profile("example.com/a", "1h"),
      signerName: "example.com/b",
      want: 'cannot use profile "web.yaml": signerName: is "example.com/a" here, but "example.com/b" is requested',
    },
    {
      name: "a profile for pods",
      text: `${profile("example.com/a", "1h")}pods: { namespace: { allowed: [web] } }\n`,
      signerName: undefined,
      want: 'cannot use profile "web.yaml": pods: only for pod certificates; use this profile with tlsboot signer ' +
        "--pod-certificates",
    },
    {
      name: "a profile that is not for pods",
      text: profile("example.com/a", "1h"),
      signerName: undefined,
      isForPods: true,
      want: 'cannot use profile "web.yaml": pods: missing; this section lists the pods that may have certificates',
    },
    {
      name: "every fault",
      text: profile("example.com/a", "never").replace("usages", "usage"),
      signerName: undefined,
      want: 'cannot use profile "web.yaml":\n  usage: unknown key; did you mean usages?\n  usages: missing\n' +
        "  lifetime.max: want a duration such as 10m, 24h, 90d or 10y",
    },
  ]
) {
  test(`createFileProfileSource() refuses at the start: ${name}`, async () => {
    const options = { ...createOptions({ text }, signerName), isForPods };
    await assert.rejects(createFileProfileSource(options), (error) => {
      assert.ok(isAppError(error, "config_invalid"));
      assert.equal(error.message, want);
      return true;
    });
  });
}

test("createFileProfileSource() reads the file again when it changes, and keeps the old profile when it is invalid", async () => {
  const disk: { text: string | undefined } = { text: profile("example.com/a", "1h") };
  const options = createOptions(disk);
  const { clock, logger } = options;
  const source = await createFileProfileSource(options);
  const readLifetime = async () => (await source.current()).lifetime?.max;
  const turn = async (text: string | undefined) => {
    disk.text = text;
    await clock.advance(1_000);
  };
  disk.text = profile("example.com/a", "2h");
  assert.equal(await readLifetime(), 3_600, "not within a second");
  await turn(disk.text);
  assert.equal(await readLifetime(), 7_200);
  assert.deepEqual(logger.messages("info"), ["profile reloaded"]);

  for (const bad of ["", "half a fi", undefined, profile("example.com/other", "3h")]) {
    await turn(bad);
    assert.equal(await readLifetime(), 7_200);
  }
  // An empty file and half a word are the same fault, so it is logged once.
  assert.equal(logger.messages("error").length, 3);
  await turn(profile("example.com/other", "3h"));
  assert.equal(await readLifetime(), 7_200);
  assert.equal(logger.messages("error").length, 3);

  await turn(profile("example.com/a", "3h"));
  assert.equal(await readLifetime(), 10_800);
});

test("followProfiles() checks the files regularly until it is aborted", async () => {
  const disk = { text: profile("example.com/a", "1h") };
  const options = createOptions(disk);
  const source = await createFileProfileSource(options);
  const abort = new AbortController();
  const following = followProfiles([source], options.clock, abort.signal);
  disk.text = "";
  await options.clock.advance(2_000);
  await until(() => options.logger.messages("error").length === 1);
  abort.abort();
  await following;
});
